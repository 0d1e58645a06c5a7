"""How long does it take, and how much memory, to read scalars: `python -m benchmarks.reading`.

The readers take turns, each in a process of its own, so this is the first read of a program. All must find the same
number of scalars. tbparse is left out unless the interpreter that has it is given by --tbparse.

Cases: a file of one tag, of 1,000 tags, or with 50 values in each event; 1,000 runs; a file that grows by 1,000 events.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import _data, _machine

TBLOG = """
from tblog import read
scalars = read(path).scalars
found = len(scalars)
"""

TO_PANDAS = """
import pandas
from tblog import read
frame = read(path).scalars.to_pandas()
found = len(frame)
"""

ACCUMULATOR = """
import glob, os
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
found = 0
for directory in {os.path.dirname(file) for file in glob.glob(path + "/**/*tfevents*", recursive=True)}:
    events = EventAccumulator(directory, size_guidance={"scalars": 0}).Reload()
    found += sum(len(events.Scalars(tag)) for tag in events.Tags()["scalars"])
"""

TBPARSE = """
from tbparse import SummaryReader
found = len(SummaryReader(path).scalars)
"""

PROTOBUF = """
import glob, struct
from tensorboard.compat.proto.event_pb2 import Event
values = []
for name in glob.glob(path + "/**/*tfevents*", recursive=True):
    with open(name, "rb") as file:
        while header := file.read(12):
            event = Event.FromString(file.read(struct.unpack("<Q", header[:8])[0]))
            file.read(4)
            values += [value.simple_value for value in event.summary.value]
found = len(values)
"""

BYTES = """
import glob
for name in glob.glob(path + "/**/*tfevents*", recursive=True):
    with open(name, "rb") as file:
        count = len(file.read())
found = None
"""

READERS = {
    "the files' bytes alone": BYTES,
    "tblog.read, columns": TBLOG,
    "tblog.read, to_pandas()": TO_PANDAS,
    "protobuf loop, no checksums": PROTOBUF,
    "EventAccumulator": ACCUMULATOR,
    "tbparse": TBPARSE,
}

FOLLOWED = {
    "tblog.read, columns": (
        "from tblog import read; runs = read(path); runs.scalars",
        "runs.refresh(); found = len(runs.scalars)",
    ),
    "EventAccumulator": (
        ACCUMULATOR.replace("found", "_"),
        "found = sum(len(events.Reload().Scalars(tag)) for tag in events.Tags()['scalars'])",
    ),
    "tbparse": ("from tbparse import SummaryReader", "found = len(SummaryReader(path).scalars)"),
}
"""What each reader does before a file grows, and after. tbparse reads anew."""

AROUND = """
import json, re, sys, time
path, appended = sys.argv[1:]
def run(source):
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    exec("\\n".join(imports), globals())
    before, cpu, wall = peak(), time.process_time(), time.perf_counter()
    exec(source, globals())
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall,
            "MiB": (peak() - before) / 1024, "found": found}
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""

ONCE = "print(json.dumps([run(source)]))"

TWICE = """
exec(source)
import glob
(name,) = glob.glob(path + "/*tfevents*")
samples = [run(again)]
with open(name, "ab") as file, open(appended, "rb") as new:
    file.write(new.read())
samples.append(run(again))
with open(name, "r+b") as file:
    file.truncate(file.seek(0, 2) - len(open(appended, "rb").read()))
print(json.dumps(samples))
"""


def write(logdir: Path, events: int, case: str) -> None:
    """Write scalars as the case says."""
    import tblog

    values = _data.floats(events)
    if case == "runs":
        for run in range(1000):
            write(logdir / f"run{run:03}", events // 1000, "one")
        return
    count = {"tags": 1000, "wide": 50}.get(case, 1)
    tags = [f"layer{number}/norm" for number in range(count)] if count > 1 else [_data.TAG]
    with tblog.SummaryWriter(str(logdir)) as writer:
        for place, value in enumerate(values):
            step, number = divmod(place, count)
            if case == "wide":
                if not number:
                    writer.add_scalar_dict(dict(zip(tags, values[place : place + count], strict=True)), step)
            else:
                writer.add_scalar(tags[number], value, step)


def read(python: str, program: str, logdir: Path, appended: Path) -> list[dict[str, Any]]:
    """Read in a process of its own; return CPU and wall seconds, and MiB beyond those of the imports."""
    done = subprocess.run(
        [python, "-c", program, str(logdir), str(appended)], capture_output=True, text=True, check=True
    )
    result: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return result


def programs(case: str) -> dict[str, str]:
    """Return the program of each reader."""
    if case == "live":
        return {
            name: f"source = {first!r}\nagain = {again!r}\n{AROUND}{TWICE}"
            for name, (first, again) in FOLLOWED.items()
        }
    return {name: f"source = {source!r}\n{AROUND}{ONCE}" for name, source in READERS.items()}


def show(title: str, samples: dict[str, list[dict[str, Any]]]) -> None:
    """Print a table."""
    print(
        f"\n{title}\n\n| reader | CPU, s | wall, s | memory, MiB | times tblog, CPU |\n|---|---:|---:|---:|---:|"
    )
    base = statistics.median(sample["cpu"] for sample in samples["tblog.read, columns"])
    for name, taken in samples.items():
        cells = []
        for unit in ("cpu", "wall"):
            seconds = sorted(sample[unit] for sample in taken)
            cells.append(f"{statistics.median(seconds):.3f} ({seconds[0]:.3f} to {seconds[-1]:.3f})")
        memory = statistics.median(sample["MiB"] for sample in taken)
        times = statistics.median(sample["cpu"] for sample in taken) / base
        print(f"| {name} | {cells[0]} | {cells[1]} | {memory:.0f} | {times:.1f} |")


def main(arguments: list[str] | None = None) -> int:
    """Measure each reader and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=["one", "tags", "wide", "runs", "live"], default="one")
    parser.add_argument("--events", type=int, default=1_000_000, help="how many scalars (default: a million)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each reader runs (default: 3)")
    parser.add_argument(
        "--readers", nargs="+", metavar="WORD", help="only readers whose names have one of these"
    )
    parser.add_argument(
        "--tbparse", metavar="PYTHON", help="the interpreter that has tbparse; else it is left out"
    )
    chosen = parser.parse_args(arguments)
    wanted = {
        name: program
        for name, program in programs(chosen.case).items()
        if (name != "tbparse" or chosen.tbparse)
        and (
            not chosen.readers
            or any(word in name for word in chosen.readers)
            or name == "tblog.read, columns"
        )
    }
    samples: dict[str, list[list[dict[str, Any]]]] = {name: [] for name in wanted}
    with tempfile.TemporaryDirectory() as folder:
        logdir, more = Path(folder) / "runs", Path(folder) / "more"
        write(logdir, chosen.events, chosen.case)
        write(more, 1000, "one")
        (appended,) = more.iterdir()
        size = sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))
        for _ in range(chosen.repeats):
            for name, program in wanted.items():
                python = chosen.tbparse if name == "tbparse" else sys.executable
                samples[name].append(read(python, program, logdir, appended))
    titles = ["nothing new", "1,000 new events"] if chosen.case == "live" else [chosen.case]
    for number, title in enumerate(titles):
        counts = {taken[number]["found"] for of in samples.values() for taken in of} - {None}
        assert counts == {chosen.events + 1000 * (title == "1,000 new events")}, counts
        what = f"{title}: {chosen.events:,} scalars, {size / 1e6:.0f} MB; {_machine.describe()['processor']}"
        show(what, {name: [taken[number] for taken in of] for name, of in samples.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
