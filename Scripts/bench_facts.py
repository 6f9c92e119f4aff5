# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Used by bench: on what was measured."""

import datetime
import os
import platform
import subprocess

from parts import LEGATION, ROOT


def first_line(*words):
    outcome = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    return outcome.stdout.splitlines()[0].strip()


def facts():
    model = [line.partition(":")[2].strip() for line in open("/proc/cpuinfo", encoding="utf-8") if "model name" in line]
    return [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("commit", first_line("git", "describe", "--always", "--dirty", "--abbrev=12")),
        ("binary", first_line(LEGATION, "--version")),
        ("kernel", platform.release()),
        ("processors", f"{os.cpu_count()} × {model[0] if model else platform.machine()}"),
        ("etcd", first_line("etcd", "--version").split()[-1]),
        ("redis", first_line("redis-server", "--version").split()[2].removeprefix("v=")),
        ("load before", f"{os.getloadavg()[0]:.2f}"),
    ]
