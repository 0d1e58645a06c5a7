"""Options that the two originals' signatures do not have: one frozen class with named presets."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tblog._require import require
from tblog.errors import InvalidTypeError, shortened

Flavor = Literal["torch", "tensorboardX"]
Overflow = Literal["wait", "drop"]
Ranks = Literal["all", "zero", "each", "reduce"]
Reduction = Literal["mean", "sum", "min", "max"]

MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class WriterOptions:
    """Choose how a `SummaryWriter` queues, encodes and reports.

    Attributes:
        flavor: which original to follow where the two write different things (tags, run names).
        max_queue_records: records that may wait before `overflow` decides. A waiting scalar
            takes about 150 bytes, or 32 with the compiled module. A small bound saves memory, and callers wait sooner. A
            large one absorbs bursts.
        max_queue_bytes: the same bound for the arrays of waiting records, in bytes.
        overflow: what a call does when the queue is full: "wait" for room, or "drop" the
            record and count it in `stats.dropped`.
        strict: raise `WriteError` from the next `flush` or `close` when a record could not be
            encoded or written, instead of one warning for each cause.
        auto_step: number the calls without a `global_step`, tag by tag, from 0. Both originals
            always write step 0, and TensorBoard shows only the last point of a step.
        copy: take a snapshot of each array in the call. False saves the copy; the program must
            then not change logged arrays.
        png_compress_level: zlib level of images, 0 (fast, large) to 9 (slow, small).
        exit_timeout_secs: maximum time that the interpreter's exit waits for open writers, in seconds. It
            takes a second more to give up, count and name what is left.
        close_at_sigterm: let SIGTERM close all open writers, within `exit_timeout_secs`, before it ends
            the process. It has no effect if the program has a handler of its own when the writer opens its
            file; a handler that is set later replaces this one. Python runs handlers between two steps of the
            main thread, so a long call to C delays the end. Without the option, SIGTERM loses at most the records of
            the last second.
        ranks: which processes of a distributed training write: "all" of them, each to its own `logdir`, as with both
            originals; "zero", only rank 0; "each", every rank to its own run below the directory; or "reduce", rank 0,
            with each scalar reduced over all ranks. The rank comes from torch's process group, or from the variables of
            torchrun, SLURM or Open MPI. See docs/ranks.md.
        reduce: with `ranks="reduce"`, "mean", "sum", "min" or "max" of the ranks' numbers of one tag and step; or a
            tuple of several, each of which goes to its own run.
        reduce_wait_secs: maximum time from the first rank's number to the last one's, in seconds. Later numbers are
            left out and counted.
        segment_bytes: size at which a segment of a run in a store ends and is sent. Each segment is one object, and each
            time that it is sent one request; on S3 a small one is sent again with more in it. Up to `max_queue_bytes`
            of segments wait in memory while the store is slow or refuses. Local runs have no segments.
        segment_secs: age at which a segment ends and is sent, in seconds; None for the writer's `flush_secs`. It
            bounds the loss of a killed process, and decides what a run's requests cost: see docs/stores.md.
        spill_dir: a local directory in which segments wait while a store refuses them, instead of in memory. Segments
            that the store has not taken by the end stay there, as event files, and count in `stats.spilled`. The next
            writer with the same URL and directory sends them.
        merge_segments: merge a run's segments into few objects when the writer closes. This reads and removes the
            segments, which needs the rights. A TensorBoard that shows the run must then be restarted.

    Raises:
        InvalidTypeError: a number is wanted, and something else was given.
        InvalidValueError: a value is out of its range.

    Example:
        >>> from tblog import SummaryWriter, WriterOptions
        >>> options = WriterOptions(overflow="drop", auto_step=True)
        >>> with SummaryWriter("runs/options", options=options) as writer:
        ...     writer.add_scalar("loss", 0.5)  # at step 0
        ...     writer.add_scalar("loss", 0.25)  # at step 1
        >>> WriterOptions(overflow="block")
        Traceback (most recent call last):
        tblog.errors.InvalidValueError: WriterOptions: overflow was 'block'; give "wait" or "drop"
    """

    flavor: Flavor = "torch"
    max_queue_records: int = 262_144
    max_queue_bytes: int = 512 * MEBIBYTE
    overflow: Overflow = "wait"
    strict: bool = False
    auto_step: bool = False
    copy: bool = True
    png_compress_level: int = 1
    exit_timeout_secs: float = 60.0
    close_at_sigterm: bool = False
    ranks: Ranks = "all"
    segment_bytes: int = 8 * MEBIBYTE
    segment_secs: float | None = None
    spill_dir: str | None = None
    merge_segments: bool = False
    reduce: Reduction | tuple[Reduction, ...] = "mean"
    reduce_wait_secs: float = 30.0

    DEFAULT: ClassVar[WriterOptions]
    NEVER_WAIT: ClassVar[WriterOptions]
    SMALL_MEMORY: ClassVar[WriterOptions]
    STRICT: ClassVar[WriterOptions]

    def __post_init__(self) -> None:
        require(
            self.flavor in ("torch", "tensorboardX"),
            _named("flavor"),
            self.flavor,
            '"torch" or "tensorboardX"',
        )
        require(self.overflow in ("wait", "drop"), _named("overflow"), self.overflow, '"wait" or "drop"')
        wanted = '"all", "zero", "each" or "reduce"'
        require(self.ranks in ("all", "zero", "each", "reduce"), _named("ranks"), self.ranks, wanted)
        wanted = '"mean", "sum", "min" or "max", or a tuple of several'
        require(
            0 < len(self.reductions) == len({*self.reductions} & {"mean", "sum", "min", "max"}),
            _named("reduce"),
            self.reduce,
            wanted,
        )
        _require_number("reduce_wait_secs", self.reduce_wait_secs, 0, "seconds, 0 or more")
        _require_number("max_queue_records", self.max_queue_records, 1, "1 or more")
        _require_number("max_queue_bytes", self.max_queue_bytes, 1, "1 or more")
        _require_number("png_compress_level", self.png_compress_level, 0, "0 to 9", highest=9)
        _require_number("exit_timeout_secs", self.exit_timeout_secs, 0, "seconds, 0 or more")
        _require_number("segment_bytes", self.segment_bytes, 1, "1 or more")
        if self.segment_secs is not None:
            _require_number("segment_secs", self.segment_secs, 0, "seconds, 0 or more, or None")
        require(
            self.spill_dir is None or (isinstance(self.spill_dir, str) and bool(self.spill_dir)),
            _named("spill_dir"),
            self.spill_dir,
            "a local directory as a str, or None",
        )

    @property
    def reductions(self) -> tuple[Reduction, ...]:
        """Return `reduce` as a tuple."""
        return self.reduce if isinstance(self.reduce, tuple) else (self.reduce,)

    @classmethod
    def of(cls, given: WriterOptions | None) -> WriterOptions:
        """Return the options that a constructor was given, or the default.

        Raises:
            InvalidTypeError: it is something else.
        """
        if given is None:
            return cls.DEFAULT
        if not isinstance(given, WriterOptions):
            wanted = given if isinstance(given, dict) else {"strict": True}
            example = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
            raise InvalidTypeError(
                f"options was {shortened(given)} of type {type(given).__name__}; give tblog.WriterOptions({example})"
            )
        return given


def _named(name: str) -> str:
    return f"WriterOptions: {name}"


def _require_number(name: str, given: Any, lowest: float, wanted: str, *, highest: float = math.inf) -> None:
    if not isinstance(given, numbers.Real):
        raise InvalidTypeError(
            f"{_named(name)} was {shortened(given)} of type {type(given).__name__}; give {wanted}"
        )
    require(lowest <= float(given) <= highest, _named(name), given, wanted)


WriterOptions.DEFAULT = WriterOptions()
WriterOptions.NEVER_WAIT = WriterOptions(overflow="drop")
WriterOptions.SMALL_MEMORY = WriterOptions(max_queue_records=8_192, max_queue_bytes=32 * MEBIBYTE)
WriterOptions.STRICT = WriterOptions(strict=True)
