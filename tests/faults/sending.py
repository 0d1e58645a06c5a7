"""The cost of a run in an object store: requests, bytes, memory and waits, for tblog and tensorboardX's S3 writer.

    python -m tests.faults.sending --megabytes 1 10 100

Each trial is a process of its own that logs texts of 10 kB at an even rate, to a store on the loopback behind a proxy
that counts. `flush_secs` is 1 for both, and the trial takes 20 of these: as much logging as in 40 minutes with the default.
Prints a table; the exit status is 0 if all records are in the store.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.faults.flood import Watch
from tests.faults.proxy import Proxy
from tests.faults.stores import BUCKET, KEYS, keys, serving, stored_steps
from tests.processes import ROOT

TEXT_BYTES = 10_000
INTERVALS = 20
FLUSH_SECS = 1.0
WRITERS = ("tblog", "tensorboardX")

say = partial(print, flush=True)


def log(name: str, megabytes: float) -> dict[str, float]:
    """Log this many megabytes at an even rate, and return the cost."""
    count = round(megabytes * 1e6 / TEXT_BYTES)
    text = "x" * TEXT_BYTES
    writer = importlib.import_module(name).SummaryWriter(f"s3://{BUCKET}/run", flush_secs=FLUSH_SECS)
    writer.add_text("text", text, 0)  # loads modules that are imported late
    writer.flush()
    longest = 0.0
    with Watch() as watch:
        began = time.monotonic()
        for step in range(1, count):
            time.sleep(max(0.0, began + step / count * INTERVALS * FLUSH_SECS - time.monotonic()))
            started = time.perf_counter()
            writer.add_text("text", text, step)
            longest = max(longest, time.perf_counter() - started)
        logged = time.monotonic() - began
        writer.close()
    return {"longest": longest, "grown_kb": watch.grown_kb, "logged": logged}


def trial(name: str, megabytes: float) -> dict[str, Any]:
    """Log to an empty store in a separate process; return its cost and traffic."""
    import boto3

    with serving() as address:
        account = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        client = boto3.Session(**account).client("s3", endpoint_url=address)
        client.create_bucket(Bucket=BUCKET)
        proxy = Proxy(address)
        environment = {
            **os.environ,
            **KEYS,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_ENDPOINT": proxy.address,
        }
        command = [sys.executable, "-m", "tests.faults.sending", "--log", name, str(megabytes)]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=600
        )
        seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        stored = stored_steps(client, "text/text_summary")
        seen |= {
            "requests": sum(proxy.requests.values()),
            "sent": proxy.bytes,
            "objects": len(keys(client)),
            "whole": stored == list(range(round(megabytes * 1e6 / TEXT_BYTES))),
        }
        proxy.stop()
        for key in keys(client):
            client.delete_object(Bucket=BUCKET, Key=key)
        client.delete_bucket(Bucket=BUCKET)
    return seen


def row(name: str, megabytes: float, seen: dict[str, Any]) -> str:
    """Return a line of the table."""
    cells = (
        f"{megabytes:g} MB",
        name,
        f"{seen['sent'] / 1e6:,.1f}",
        seen["requests"],
        seen["objects"],
        f"{seen['grown_kb'] / 1e3:,.0f}",
        f"{1e3 * seen['longest']:,.1f}",
        f"{seen['logged']:.1f}",
    )
    return f"| {' | '.join(map(str, cells))} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all trials, or one program of a trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", nargs="+", type=float, default=[1, 10])
    parser.add_argument("--log", nargs=2, metavar=("WRITER", "MEGABYTES"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.log:
        say(json.dumps(log(options.log[0], float(options.log[1]))))
        return 0
    say("| logged | writer | MB sent | requests | objects | MB of memory | longest call, ms | logged in, s |")
    say("|---|---|---|---|---|---|---|---|")
    whole = True
    for megabytes in options.megabytes:
        for name in WRITERS:
            seen = trial(name, megabytes)
            whole = whole and seen["whole"]
            say(
                row(name, megabytes, seen) + ("" if seen["whole"] else " not everything is there"), flush=True
            )
    return int(not whole)


if __name__ == "__main__":
    sys.exit(main())
