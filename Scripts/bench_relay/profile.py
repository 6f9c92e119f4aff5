# SPDX-License-Identifier: Apache-2.0
# Copyright the Legation authors
"""Where a process spends its time while a load runs: by perf's samples, or by instructions that callgrind counts."""

import re
import signal
import subprocess
import typing

from parts import Failure

# A prime, so that what happens at a round rate is not always or never met.
SAMPLES_PER_SECOND = 1999
# Without hardware counters, as in most virtual machines, time itself is the event.
EVENT = "cpu-clock"
# RelayWorker.run() as the symbol table has it.
WORKER = "5Relay0A6WorkerC3run"


class Line(typing.NamedTuple):
    """A function's part of all samples or instructions, in percent; where it is; its name."""
    percent: float
    place: str
    name: str


def demangled(text):
    """Swift's names readable, if a toolchain is here."""
    try:
        return subprocess.run(["swift", "demangle", "--simplified"], input=text, capture_output=True, text=True,
                              check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return text


def has_perf():
    try:
        return subprocess.run(["perf", "stat", "-e", EVENT, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# MARK: perf


def sampled(pid, run, file):
    """Runs `run` while perf samples the process into the file; returns what `run` does."""
    words = ["perf", "record", "-q", "-e", EVENT, "-F", str(SAMPLES_PER_SECOND), "-g", "-o", str(file), "-p", str(pid)]
    recorder = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        outcome = run()
    finally:
        recorder.send_signal(signal.SIGINT)
        _, said = recorder.communicate(timeout=60)
    if not file.exists() or file.stat().st_size == 0:
        raise Failure(f"perf wrote nothing: {said[-300:]}")
    return outcome


def functions_of(file, with_callees):
    """By their own time, or with that of all they call, most first."""
    said = subprocess.run(["perf", "report", "-i", str(file), "--stdio", "-g", "none", "--sort", "dso,symbol",
                           "--children" if with_callees else "--no-children", "--percent-limit", "0.2"],
                          capture_output=True, text=True, check=True).stdout
    lines = []
    for line in demangled(said).splitlines():
        if found := re.match(r"\s*([\d.]+)%(?:\s+[\d.]+%)?\s+(\S+)\s+\[([k.])\]\s+(.*\S)", line):
            percent, _, kind, name = found.groups()
            lines.append(Line(float(percent), "kernel" if kind == "k" else "program", re.sub(r"\s+-\s+-$", "", name)))
    if not lines:
        raise Failure("perf has no samples: the process did nothing")
    return sorted(lines, reverse=True)


def calls_while(pid, run):
    """What `run` returns, and how often the process made each system call meanwhile; {} where perf may not see them."""
    counter = subprocess.Popen(["perf", "stat", "-x", ",", "-e", "syscalls:sys_enter_*", "-p", str(pid)],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        outcome = run()
    finally:
        counter.send_signal(signal.SIGINT)
        _, said = counter.communicate(timeout=60)
    counts = re.findall(r"^(\d+),[^,]*,syscalls:sys_enter_(\w+)", said, re.MULTILINE)
    return outcome, {name: int(count) for count, name in counts if int(count)}


# MARK: callgrind


def callgrind_words(file, program, *words):
    """The command under callgrind: 20 to 50 times slower, but it counts each instruction of the program."""
    # Of another run.
    for one in file.parent.glob(f"{file.name}*"):
        one.unlink()
    # Valgrind gives up at the release binary's DWARF; the names of functions are in its symbol table as well.
    bare = file.with_suffix(".program")
    subprocess.run(["objcopy", "--strip-debug", program, bare], check=True)
    # Valgrind runs one thread at a time: the relay's would starve beside one that never waits.
    return ["valgrind", "--tool=callgrind", "--fair-sched=yes", "--instr-atstart=no", "--separate-threads=yes",
            f"--callgrind-out-file={file}", bare, *words]


def counts(pid, is_on):
    """From and until when instructions count: neither the program's start is to be measured nor its end."""
    words = ["callgrind_control", f"--instr={'on' if is_on else 'off'}", str(pid)]
    subprocess.run(words, check=True, capture_output=True)


def of_worker(file):
    """The file of the relay's thread: callgrind writes one for each, with its number behind the name."""
    for one in sorted(file.parent.glob(f"{file.name}-*")):
        if WORKER in one.read_text():
            return one
    raise Failure(f"callgrind wrote no file {file}-* in which a worker runs")


def instructions(file):
    """All that were counted."""
    return int(re.findall(r"^totals: (\d+)", file.read_text(), re.MULTILINE)[-1])


def counted(file, with_callees):
    """What callgrind_annotate says of the file."""
    said = subprocess.run(["callgrind_annotate", f"--inclusive={'yes' if with_callees else 'no'}", str(file)],
                          capture_output=True, text=True, check=True).stdout
    lines = []
    for line in demangled(said).splitlines():
        if found := re.match(r"\s*[\d,]+ \(\s*([\d.]+)%\)\s+(?:[^:]*:)?(.*?)(?: \[[^\]]*\])?$", line):
            if found.group(2) != "PROGRAM TOTALS":
                lines.append(Line(float(found.group(1)), "program", found.group(2)))
    if not lines:
        raise Failure("callgrind counted nothing")
    return sorted(lines, reverse=True)
