# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""The section of docs/benchmark.md between its markers, and the plot beside it."""

import datetime
import os
import platform
import shlex
import subprocess

from bench_relay.machine import BOOKWORM, PEERS, in_root
from bench_relay.peers import Direct, Legation, Socat, version
from bench_relay.plot import OWN, PEER, Panel, svg
from bench_relay.rounds import LEAST_DIRECT
from bench_relay.verdicts import SHOWN, Spread, shown
from parts import LEGATION, ROOT, Failure

BEGIN, END = "<!-- written by Scripts/bench-relay: begin -->", "<!-- written by Scripts/bench-relay: end -->"
TITLES = {"cpu": ("CPU of the proxy per", "less is better"), "rate": ("rate:", "more is better"),
          "p99": ("99 of 100 answers within:", "less is better")}
LANGUAGES = {"HAProxy": "haproxy", "nginx": "nginx", "Envoy": "yaml"}


def facts():
    def first_line(*words):
        said = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, text=True, check=True)
        return said.stdout.splitlines()[0].strip()
    model = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if "model name" in line]
    loads = [f"{name} {version(*in_root(BOOKWORM, name, option))}" for name, option in (
        ("redis-server", "--version"), ("redis-benchmark", "--version"), ("iperf3", "--version"), ("nginx", "-v"))]
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", first_line("git", "describe", "--always", "--dirty", "--abbrev=12")),
        ("binary", first_line(LEGATION, "--version")),
        ("kernel", platform.release()),
        ("processors", f"{os.cpu_count()} × {model[0] if model else platform.machine()}"),
        ("load and backends", ", ".join([*loads, "wrk 4.1.0"])),
        ("load before", f"{os.getloadavg()[0]:.2f}"),
    ]


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head),
            *("| " + " | ".join(cells) + " |" for cells in rows), ""]


def upper(title):
    return title[0].upper() + title[1:]


def all_figures(tables, proxies):
    """Medians of every proxy in every measure."""
    for one in tables:
        names = [name for name in SHOWN if any(one.of(proxy, name) for proxy in proxies)
                 and (name != "p99" or one.measure.by_latency)]
        yield f"{upper(one.measure.title)}, medians of {len(one.rounds)} rounds:"
        yield ""
        rows = []
        for proxy in proxies:
            if not one.of(proxy, "rate"):
                rows.append([str(proxy)] + ["failed"] * len(names) + [""])
                continue
            shares = one.of(proxy, "share")
            cells = [shown(one, proxy, name) if one.of(proxy, name) else "" for name in names]
            rows.append([str(proxy), *cells, f"{100 * Spread.of(shares).median:.0f} %" if shares else ""])
        heads = {"cpu": f"CPU per {one.measure.unit}", "rate": "rate", "p99": "p99"}
        yield from table(["proxy", *(heads[name] for name in names), "of its core used"], rows)
        if one.slow or one.refused:
            yield (f"Repeated: {one.slow} rounds in which direct was below {LEAST_DIRECT:.0%} of its best, "
                   f"and those with errors: {'; '.join(one.refused) or 'none'}.")
            yield ""


def configurations(proxies):
    """Each once; what its variants change is said above it."""
    seen = set()
    for proxy in proxies:
        kind = proxy.name.split()[0]
        if isinstance(proxy, Direct) or kind in seen:
            continue
        seen.add(kind)
        words = [str(word).replace(LEGATION, "legation").replace(f"{PEERS}/", "") for word in proxy.words()]
        variants = list(dict.fromkeys(one.variant for one in proxies if one.name.split()[0] == kind and one.variant))
        yield f"**{kind}**" + (f", in variants: {', '.join(f'`{one}`' for one in variants)}" if variants else "")
        yield ""
        yield from ["```text", shlex.join(words), "```", ""]
        if not isinstance(proxy, (Legation, Socat)):
            yield from ["<details><summary>its file</summary>", "", f"```{LANGUAGES[kind]}"]
            yield from (line for line in proxy.file().splitlines()[4:] if line.strip())
            yield from ["```", "", "</details>", ""]


def panels(tables, proxies):
    for one in tables:
        for name in ("p99",) if one.measure.by_latency else ("cpu", "rate"):
            begin, hint = TITLES[name]
            title = f"{upper(one.measure.title)}, {begin}" + (f" {one.measure.unit}" if name == "cpu" else "")
            direct = proxies[0]
            if one.of(direct, name):
                hint += f"; without a proxy {shown(one, direct, name)}"
            bars = []
            for proxy in proxies[1:]:
                if values := one.of(proxy, name):
                    colour = OWN if isinstance(proxy, Legation) else PEER
                    bars.append((str(proxy), Spread.of(values), shown(one, proxy, name), colour))
            yield Panel(title.rstrip(":"), hint, bars)


def write(known, rows, tables, memory, proxies, folder, page):
    """Puts the plot into the folder, and the section into the page: the documentation's, or one of its own."""
    caption = ", ".join(f"{name} {value}" for name, value in known if name in ("date", "binary", "kernel"))
    (folder / "benchmark.svg").write_text(svg(list(panels(tables, proxies)), caption))
    lines = [BEGIN, "", *table(["", ""], map(list, known)),
             *table(["measure", "goal", "measured", "quartiles", "Legation; the best peer", ""],
                    [row.cells() for row in rows]),
             "![every proxy's figures](benchmark.svg)", "", *all_figures(tables, proxies),
             "Memory in user space a connection: idle, and if the client never reads, with what waits in pipes:", "",
             *table(["proxy", "idle", "never read", "two seconds later"], memory),
             "### Configurations", "", *configurations(proxies), END]
    before, after = "", "\n"
    if page.exists():
        text = page.read_text()
        if BEGIN not in text or END not in text:
            raise Failure(f"{page} has no markers for the section")
        before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    page.write_text(before + "\n".join(lines) + after)
