"""A program that logs to a disk to which something happens, in a mount namespace of its own.

Run as `disk.py FAULT WRITER OUT SECS`. The file system is a tmpfs of 256 kB, or an ext4 of 8 MB in a file. What
is on it at the end is copied to `OUT/run`; what the program saw is written to `OUT/seen.json`: how many
calls returned and raised, what was told, the writer's counters.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.program import make_writer

EXT4_IOC_SHUTDOWN, LOG_FLUSH = 0x8004587D, 1  # include/uapi/linux/ext4.h


def run(*command):
    """Run a command of the system."""
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


class Ext4:
    """A file system in a file, which can be broken in the ways of real ones."""

    def __init__(self, place, image):
        self.place, self.image = place, image
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        run("mkfs.ext4", "-q", "-F", image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.place)

    def mount_again(self):
        """What was handed to a file system that died is not there unless it was synced."""
        run("umount", "-l", self.place)
        self.mount()

    def become_read_only(self):
        """As ext4 does after an error, also under files that are open for writing."""
        source = subprocess.check_output(["findmnt", "-no", "SOURCE", str(self.place)], text=True).strip()
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("1")

    def fail(self):
        """Answer everything with EIO."""
        handle = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", LOG_FLUSH))
        os.close(handle)


def peak_kb():
    """Return the most memory that this process has held so far, in kB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


class Logging:
    """A writer, and what happened to those who called it."""

    def __init__(self, name, logdir, **arguments):
        self.writer = make_writer(name, str(logdir), **arguments)
        self.calls = self.raised = 0

    def log(self, count):
        """Log the next numbers; training that meets an exception goes on with the next step."""
        for _ in range(count):
            try:
                self.writer.add_scalar("x", self.calls, self.calls)
            except Exception:
                self.raised += 1
            self.calls += 1

    def flush(self):
        try:
            self.writer.flush()
        except Exception:
            self.raised += 1

    def close(self):
        try:
            self.writer.close()
        except Exception:
            self.raised += 1


def full_disk(logged, place, secs):
    """The disk is full in the middle of a record, and has room again later."""
    run("mount", "-o", "remount,size=256k", place)
    logged.log(20_000)
    logged.flush()
    logged.log(20_000)
    time.sleep(secs)
    run("mount", "-o", "remount,size=16m", place)
    logged.log(10)


def full_disk_for_good(logged, place, secs):
    """The disk is full, and stays so when the writer is closed."""
    run("mount", "-o", "remount,size=256k", place)
    logged.log(100_000)
    logged.flush()
    time.sleep(secs)


def file_size_limit(logged, _place, _secs):
    """No file may be larger than 100 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    logged.log(20_000)
    logged.close()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def directory_removed(logged, place, secs):
    """Somebody removes the log directory; what is logged from then on is to be found."""
    logged.log(1000)
    logged.flush()
    shutil.rmtree(place / "run")
    time.sleep(1.5 + secs)
    logged.calls = 0
    logged.log(1000)


def read_only_remount(logged, _place, secs, disk):
    """The file system becomes read-only under the open file, and is mounted anew."""
    logged.log(1000)
    logged.flush()
    os.sync()
    disk.become_read_only()
    logged.log(1000)
    logged.flush()
    time.sleep(secs)
    disk.mount_again()
    logged.log(10)


def failing_disk(logged, _place, secs, disk):
    """The file system answers EIO, and is mounted anew."""
    logged.log(1000)
    logged.flush()
    os.sync()
    disk.fail()
    logged.log(1000)
    logged.flush()
    time.sleep(secs)
    disk.mount_again()
    logged.log(10)


def frozen_disk(logged, place, secs, _disk):
    """A write does not return for a while."""
    logged.log(1000)
    run("fsfreeze", "-f", place)
    try:
        logged.log(20_000)
        time.sleep(secs)
    finally:
        run("fsfreeze", "-u", place)
    logged.log(10)


ON_TMPFS = {
    "full disk": full_disk,
    "full disk for good": full_disk_for_good,
    "file-size limit": file_size_limit,
    "directory removed": directory_removed,
}
ON_EXT4 = {
    "read-only remount": read_only_remount,
    "failing disk": failing_disk,
    "frozen disk": frozen_disk,
}


def main(fault, name, out, secs):
    """Let the fault happen to the writer, and keep what is left."""
    out = Path(out)
    place = out / "disk"
    place.mkdir()
    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("tblog").addHandler(handler)
    if fault in ON_TMPFS:
        run("mount", "-t", "tmpfs", "-o", "size=16m", "tblog", place)
        then = ON_TMPFS[fault], ()
    else:
        then = ON_EXT4[fault], (Ext4(place, out / "image"),)
    logged = Logging(name, place / "run")
    memory = peak_kb()
    then[0](logged, place, float(secs), *then[1])
    logged.close()
    seen = {
        "calls": logged.calls,
        "raised": logged.raised,
        "told": told,
        "grown_kb": peak_kb() - memory,
        "stats": vars(logged.writer.stats) if name == "tblog" else None,
    }
    shutil.copytree(place / "run", out / "run")
    (out / "seen.json").write_text(json.dumps(seen))
    os._exit(0)  # the peers' exit may hang, which is not asked here


if __name__ == "__main__":
    main(*sys.argv[1:])
