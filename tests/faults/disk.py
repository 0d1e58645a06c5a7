"""A program that logs to a faulty disk, in its own mount namespace.

Run as `disk.py FAULT WRITER OUT SECS HANG_SECS`. The file system is a tmpfs of 256 kB, or an ext4 of 8 MB in a
file. `training.Training` documents the contents of OUT at the end.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.faults.training import Training

EXT4_IOC_SHUTDOWN, LOG_FLUSH = 0x8004587D, 1  # include/uapi/linux/ext4.h


def run(*command: object) -> None:
    """Run a system command."""
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


class Ext4:
    """An ext4 file system in a file, which can fail as real ones do."""

    def __init__(self, place: Path, image: Path) -> None:
        self.place, self.image = place, image
        with open(image, "wb") as file:
            file.truncate(8 << 20)
        run("mkfs.ext4", "-q", "-F", image)
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop,errors=remount-ro", self.image, self.place)

    def mount_again(self) -> None:
        """Mount the disk's contents again; unsynced writes to a file system that died are lost.

        Mounts a copy, since Linux would mount the dead file system itself while one of its files is open.
        """
        self.image = Path(shutil.copy(str(self.image), f"{self.image}.copy"))
        run("umount", "-l", self.place)
        self.mount()

    def become_read_only(self) -> None:
        """Become read-only as ext4 does after an error, also for files that are open for writing."""
        source = subprocess.check_output(["findmnt", "-no", "SOURCE", str(self.place)], text=True).strip()
        Path(f"/sys/fs/ext4/{Path(source).name}/trigger_fs_error").write_text("1")

    def fail(self) -> None:
        """Answer every call with EIO."""
        handle = os.open(self.place, os.O_RDONLY)
        fcntl.ioctl(handle, EXT4_IOC_SHUTDOWN, struct.pack("I", LOG_FLUSH))
        os.close(handle)


def full_disk(training: Training, place: Path, secs: float) -> None:
    """The disk fills up in the middle of a record, and has room again later."""
    run("mount", "-o", "remount,size=256k", place)
    training.log(1000)
    training.confirm()
    training.log(19_000)
    training.call("flush")
    training.log(20_000)
    time.sleep(secs)
    run("mount", "-o", "remount,size=16m", place)
    training.log(10)


def full_disk_for_good(training: Training, place: Path, secs: float) -> None:
    """The disk fills up, and is still full when the writer is closed."""
    run("mount", "-o", "remount,size=256k", place)
    training.log(1000)
    training.confirm()
    training.log(99_000)
    training.call("flush")
    time.sleep(secs)


def file_size_limit(training: Training, _place: Path, _secs: float) -> None:
    """No file may exceed 100 kB."""
    training.log(1000)
    training.confirm()
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    training.log(19_000)
    training.call("close")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def directory_removed(training: Training, place: Path, secs: float) -> None:
    """Somebody removes the log directory; records logged afterwards must still be found."""
    training.log(1000)
    training.call("flush")
    shutil.rmtree(place / "run")
    time.sleep(1.5 + secs)
    training.calls = 0
    training.log(1000)


def unwritable_directory(training: Training, place: Path, secs: float, _disk: Ext4) -> None:
    """The log directory is unwritable for a while, and a new run below it is logged meanwhile."""
    below = {"torch": "runs_a", "tblog": "runs_a", "tensorboardX": "runs/a"}[training.name]
    training.others[below] = {"runs": 200}
    training.log(1000)
    training.confirm()
    run("chattr", "+i", place / "run")
    for step in range(100):
        training.call("add_scalars", "runs", {"a": step}, step)
    training.log(1000)
    training.call("flush")
    time.sleep(secs)
    run("chattr", "-i", place / "run")
    for step in range(100, 200):
        training.call("add_scalars", "runs", {"a": step}, step)
    training.log(10)


def read_only_remount(training: Training, _place: Path, secs: float, disk: Ext4) -> None:
    """The file system becomes read-only under the open file, and is mounted again."""
    training.log(1000)
    training.confirm()
    os.sync()
    disk.become_read_only()
    training.rescue = disk.mount_again
    training.log(1000)
    training.call("flush")
    time.sleep(secs)
    disk.mount_again()
    training.log(10)


def failing_disk(training: Training, _place: Path, secs: float, disk: Ext4) -> None:
    """The file system answers EIO, and is mounted again."""
    training.log(1000)
    training.confirm()
    os.sync()
    disk.fail()
    training.rescue = disk.mount_again
    training.log(1000)
    training.call("flush")
    time.sleep(secs)
    disk.mount_again()
    training.log(10)


def frozen_disk(training: Training, place: Path, secs: float, _disk: Ext4) -> None:
    """A write blocks for a while, and 20,000 numbers are logged meanwhile."""
    training.log(1000)
    training.confirm()
    run("fsfreeze", "-f", place)
    thaw = threading.Timer(secs, run, ("fsfreeze", "-u", place))
    thaw.start()
    training.log(20_000)
    thaw.join()
    training.log(10)


ON_TMPFS = {
    "full disk": full_disk,
    "full disk for good": full_disk_for_good,
    "file-size limit": file_size_limit,
    "directory removed": directory_removed,
}
ON_EXT4 = {
    "unwritable directory": unwritable_directory,
    "read-only remount": read_only_remount,
    "failing disk": failing_disk,
    "frozen disk": frozen_disk,
}


def main(fault: str, name: str, out: str, secs: str, hang_secs: str) -> None:
    """Apply the fault to the writer, and keep what remains."""
    place = Path(out) / "disk"
    place.mkdir()
    disk = None
    if fault in ON_TMPFS:
        run("mount", "-t", "tmpfs", "-o", "size=16m", "tblog", place)
    else:
        disk = Ext4(place, Path(out) / "image")
    training = Training(name, place / "run", out, float(hang_secs))
    if disk is None:
        ON_TMPFS[fault](training, place, float(secs))
    else:
        ON_EXT4[fault](training, place, float(secs), disk)
    training.end()
    os._exit(0)  # the originals may hang at exit, which is not tested here


if __name__ == "__main__":
    main(*sys.argv[1:])
