"""How long does it take, and how much memory, to read a file of many scalars: `python -m benchmarks.reading`.

The readers take turns, each in a process of its own. All must find the same number of scalars and the same sum.
tbparse installs a TensorFlow or TensorBoard of its own: give the interpreter that has it by --tbparse.
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
import tblog
scalars = tblog.read(path).scalars
found = len(scalars), float(scalars.value.sum())
"""

TO_PANDAS = """
import pandas
import tblog
frame = tblog.read(path).scalars.to_pandas()
found = len(frame), float(frame.value.sum())
"""

ACCUMULATOR = """
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(path, size_guidance={"scalars": 0})
events.Reload()
values = [event.value for tag in events.Tags()["scalars"] for event in events.Scalars(tag)]
found = len(values), sum(values)
"""

TBPARSE = """
from tbparse import SummaryReader
frame = SummaryReader(path).scalars
found = len(frame), float(frame.value.sum())
"""

PROTOBUF = """
import glob, struct
from tensorboard.compat.proto.event_pb2 import Event
values = []
with open(glob.glob(path + "/*tfevents*")[0], "rb") as file:
    while header := file.read(12):
        event = Event.FromString(file.read(struct.unpack("<Q", header[:8])[0]))
        file.read(4)
        values += [value.simple_value for value in event.summary.value]
found = len(values), sum(values)
"""

BYTES = """
import glob
count = len(open(glob.glob(path + "/*tfevents*")[0], "rb").read())
found = None
"""

READERS = {
    "the file's bytes alone": BYTES,
    "tblog.read, columns": TBLOG,
    "tblog.read, to_pandas()": TO_PANDAS,
    "protobuf loop, no checksums": PROTOBUF,
    "EventAccumulator": ACCUMULATOR,
    "tbparse": TBPARSE,
}

AROUND = """
import json, re, sys, time
path = sys.argv[1]
imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
exec("\\n".join(imports))
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
begin = time.perf_counter()
exec(source)
elapsed = time.perf_counter() - begin
print(json.dumps({"seconds": elapsed, "MiB": (peak() - before) / 1024, "found": found}))
"""


def write(logdir: Path, events: int) -> int:
    """Write scalars of one tag; return the file's bytes."""
    import tblog

    with tblog.SummaryWriter(str(logdir)) as writer:
        for step, value in enumerate(_data.floats(events)):
            writer.add_scalar(_data.TAG, value, step)
    (path,) = logdir.iterdir()
    return path.stat().st_size


def read(python: str, source: str, logdir: Path) -> dict[str, Any]:
    """Read in a process of its own; return seconds and MiB beyond those of the imports."""
    program = f"source = {source!r}\n{AROUND}"
    done = subprocess.run([python, "-c", program, str(logdir)], capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(arguments: list[str] | None = None) -> int:
    """Measure each reader and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="how many scalars (default: a million)")
    parser.add_argument("--repeats", type=int, default=3, help="how often each reader runs (default: 3)")
    parser.add_argument(
        "--tbparse", metavar="PYTHON", help="the interpreter that has tbparse; left out without"
    )
    chosen = parser.parse_args(arguments)
    readers = {name: source for name, source in READERS.items() if name != "tbparse" or chosen.tbparse}
    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in readers}
    with tempfile.TemporaryDirectory() as folder:
        size = write(Path(folder), chosen.events)
        for _ in range(chosen.repeats):
            for name, source in readers.items():
                python = chosen.tbparse if name == "tbparse" else sys.executable
                samples[name].append(read(python, source, Path(folder)))
    results = [sample["found"] for taken in samples.values() for sample in taken if sample["found"]]
    assert all(found[0] == chosen.events for found in results), results
    print(f"{chosen.events:,} scalars, {size / 1e6:.0f} MB; {_machine.describe()['processor']}\n")
    print(
        "| reader | seconds, median (smallest to largest) | memory, MiB | times tblog |\n|---|---:|---:|---:|"
    )
    base = statistics.median(sample["seconds"] for sample in samples["tblog.read, columns"])
    for name, taken in samples.items():
        seconds = sorted(sample["seconds"] for sample in taken)
        memory = statistics.median(sample["MiB"] for sample in taken)
        middle = statistics.median(seconds)
        spread = f"{seconds[0]:.3f} to {seconds[-1]:.3f}"
        print(f"| {name} | {middle:.3f} ({spread}) | {memory:.0f} | {middle / base:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
