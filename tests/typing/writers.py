"""What a type checker says about the writers and their options: mypy reads this file, nobody runs it.

An expected error has `# type: ignore[its code]` after it; if it does not occur, mypy reports that.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import torch

import tblog
from tblog import (
    FileWriter,
    GlobalSummaryWriter,
    RecordWriter,
    Stats,
    SummaryWriter,
    WriterOptions,
    errors,
    patch,
    records,
    unpatch,
)
from tblog.check import check, repair
from tblog.options import Flavor

# Constructors, called like both originals'.
SummaryWriter()
SummaryWriter("runs/a")
SummaryWriter(
    Path("runs/a"), comment="_lr", purge_step=10, max_queue=10, flush_secs=120, filename_suffix=".a"
)
SummaryWriter(log_dir="runs/a")
SummaryWriter("runs/a", resume=True)
SummaryWriter("runs/a", resume=1000, options=WriterOptions.STRICT)
SummaryWriter(["runs/a"])  # type: ignore[arg-type]
SummaryWriter("runs/a", purge_step="10")  # type: ignore[arg-type]
SummaryWriter("runs/a", options={"flavor": "torch"})  # type: ignore[arg-type]

with SummaryWriter("runs/a") as opened:
    assert_type(opened, SummaryWriter)


class Mine(SummaryWriter):
    """A user's class."""


with Mine("runs/a") as mine:
    assert_type(mine, Mine)

writer = SummaryWriter("runs/a")
assert_type(writer.stats, Stats)
assert_type(writer.stats.dropped, int)
assert_type(writer.stats.worker_secs, float)
assert_type(writer.get_logdir(), str)
assert_type(writer.log_dir, str)
assert_type(writer.next_step, int)
assert_type(writer.options, WriterOptions)
assert_type(writer.scalar_dict, dict[str, list[list[float]]])

# Anything that holds one number is a scalar; a tag is a string.
writer.add_scalar("loss", 0.5, 1)
writer.add_scalar("loss", torch.tensor(0.5), 1, 1.7e9)
writer.add_scalar("loss", np.float32(0.5), global_step=np.int64(1), new_style=True)
writer.add_scalar("loss", 0.5, 1, display_name="Loss", summary_description="of the batch")
writer.add_scalar(3, 0.5)  # type: ignore[arg-type]
writer.add_scalar("loss")  # type: ignore[call-arg]
writer.add_scalar("loss", 0.5, step=1)  # type: ignore[call-arg]
writer.add_scalars("losses", {"train": 0.5, "test": torch.ones(())}, 1)
writer.add_scalars("losses", [0.5])  # type: ignore[arg-type]
writer.add_scalar_dict({"loss": 0.5, "accuracy": torch.ones(())}, 1)
writer.add_scalar_dict([("loss", 0.5)])  # type: ignore[arg-type]

# All other kinds.
writer.add_histogram("weights", torch.randn(9), 1, bins="auto")
writer.add_image("image", np.zeros((3, 4, 4)), 1, dataformats="CHW")
writer.add_images("images", torch.zeros(2, 3, 4, 4), 1)
writer.add_text("text", "words", 1)
writer.add_text("text", b"words")  # type: ignore[arg-type]
writer.add_audio("audio", torch.zeros(1, 9), 1, sample_rate=8000)
writer.add_video("video", torch.zeros(1, 2, 3, 4, 4), 1, fps=4)
writer.add_tensor("tensor", np.zeros(3), 1)
writer.add_pr_curve("curve", [0, 1], [0.1, 0.9], 1)
writer.add_mesh("mesh", torch.zeros(1, 3, 3), global_step=1)
writer.add_embedding(torch.zeros(2, 2), metadata=["a", "b"], tag="embedding")
writer.add_hparams({"lr": 0.1}, {"loss": 0.5}, run_name="trial")
writer.log_hparams({"lr": 0.1})
writer.add_custom_scalars({"charts": {"losses": ["Multiline", ["loss"]]}})
writer.add_graph(torch.nn.Linear(1, 1), torch.ones(1, 1), source="export")
writer.add_graph(torch.nn.Linear(1, 1), torch.ones(1, 1), source="magic")  # type: ignore[arg-type]
writer.add_pictures("image", np.zeros((3, 4, 4)))  # type: ignore[attr-defined]

with writer.use_metadata(global_step=3):
    writer.add_scalar("loss", 0.5)

writer.flush()
writer.close()

# Options are a frozen class with presets.
options = WriterOptions(
    flavor="tensorboardX",
    max_queue_records=1000,
    overflow="drop",
    strict=True,
    auto_step=True,
    png_compress_level=9,
    exit_timeout_secs=1.5,
    close_at_sigterm=True,
)
assert_type(options.flavor, Flavor)
assert_type(options.max_queue_bytes, int)
assert_type(WriterOptions.DEFAULT, WriterOptions)
WriterOptions(flavor="comet")  # type: ignore[arg-type]
WriterOptions(overflow="grow")  # type: ignore[arg-type]
WriterOptions(1000)  # type: ignore[arg-type, call-arg]
WriterOptions(max_queue=1000)  # type: ignore[call-arg]
options.strict = False  # type: ignore[misc]

# The other writers.
assert_type(FileWriter("runs/a").get_logdir(), str)
assert_type(FileWriter("runs/a").stats, Stats)
with GlobalSummaryWriter("runs/a") as shared:
    assert_type(shared, GlobalSummaryWriter)
    shared.add_scalar("loss", 0.5)
    shared.add_scalar("loss", 0.5, walltime="now")  # type: ignore[arg-type]
assert_type(GlobalSummaryWriter.getSummaryWriter(), GlobalSummaryWriter)
with contextlib.closing(RecordWriter("records")) as record_writer:
    record_writer.write(b"data")
    record_writer.write("data")  # type: ignore[arg-type]
    assert_type(record_writer.closed, bool)

# Replacing the originals, and the check.
assert_type(patch(), None)
assert_type(unpatch(), None)
for report in check("runs"):
    assert_type(report.path, str)
assert_type(repair("runs/a/events.out.tfevents.1"), str)

# Callers of the originals can catch tblog's errors, too.
not_implemented: type[NotImplementedError] = errors.UnsupportedTypeError
assertion: type[AssertionError] = errors.NotAScalarError
value: type[ValueError] = errors.InvalidValueError
both: type[errors.TblogError] = errors.WriteError
assert_type(tblog.__version__, str)
tblog.no_such_name  # type: ignore[attr-defined]  # noqa: B018

everything: list[Any] = [not_implemented, assertion, value, both, records]
