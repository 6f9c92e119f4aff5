# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""An SVG of what each proxy did: a panel a figure, a bar a proxy up to its median, a line between the quartiles."""

import statistics
import typing
from xml.sax.saxutils import escape

from bench_relay.verdicts import Spread

# In pixels.
WIDTH, LABELS, FIGURES, BAR, GAP, HEAD, MARGIN = 960, 250, 110, 14, 6, 44, 16
OWN, PEER, WHISKER, TEXT = "#c2410c", "#64748b", "#0f172a", "#1f2937"
# In medians of all bars: one that is longer is cut, or the others could not be told apart.
LONGEST = 2


class Panel(typing.NamedTuple):
    """A title, which direction is better, and (label, Spread, text, colour) of each bar."""
    title: str
    hint: str
    bars: list[tuple[str, Spread, str, str]]


def svg(panels, caption):
    height = MARGIN + sum(HEAD + len(panel.bars) * (BAR + GAP) + GAP for panel in panels) + 24
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
             f'height="{height}" font-family="system-ui, sans-serif" font-size="12">',
             # A page may be dark; the bars' colours are chosen for this ground.
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>']
    top = MARGIN
    for panel in panels:
        parts += draw(panel, top)
        top += HEAD + len(panel.bars) * (BAR + GAP) + GAP
    parts.append(text(MARGIN, height - 12, caption, size=11))
    return "\n".join([*parts, "</svg>", ""])


def draw(panel, top):
    width = WIDTH - LABELS - FIGURES - MARGIN
    most = min(max(spread.upper for _, spread, _, _ in panel.bars),
               LONGEST * statistics.median(spread.median for _, spread, _, _ in panel.bars))
    scale = width / most if most > 0 else 0
    yield text(MARGIN, top + 20, panel.title, weight="bold", size=14)
    yield text(WIDTH - MARGIN, top + 20, panel.hint, anchor="end")
    for number, (label, spread, figure, colour) in enumerate(panel.bars):
        y = top + HEAD - 10 + number * (BAR + GAP)
        middle = y + BAR / 2
        yield text(LABELS - 8, y + BAR - 3, label, anchor="end", weight="bold" if colour == OWN else "normal")
        lower, median, upper = (min(value * scale, width) for value in spread)
        yield f'<rect x="{LABELS}" y="{y}" width="{median:.1f}" height="{BAR}" fill="{colour}"/>'
        yield (f'<line x1="{LABELS + lower:.1f}" x2="{LABELS + upper:.1f}" y1="{middle}" y2="{middle}" '
               f'stroke="{WHISKER}" stroke-width="2"/>')
        yield text(LABELS + upper + 8, y + BAR - 3, figure if spread.median <= most else f"… {figure}")


def text(x, y, words, anchor="start", weight="normal", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" font-size="{size}" '
            f'fill="{TEXT}">{escape(words)}</text>')
