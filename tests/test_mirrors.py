"""Tools that hook the originals see what tblog's writers write; the hooks here are like theirs."""

from __future__ import annotations

import sys

import pytest
import tensorboardX.writer as tensorboardxs
import torch.utils.tensorboard.writer as torchs

import tblog
from tblog import SummaryWriter, WriterOptions
from tests.reading import event_files, points

FAMILIES = pytest.mark.parametrize("module", [torchs, tensorboardxs], ids=["torch", "tensorboardX"])


def flavored(module, logdir, **options):
    """Return a writer with the flavor of a module's original."""
    flavor = "torch" if module is torchs else "tensorboardX"
    return SummaryWriter(logdir, options=WriterOptions(flavor=flavor, **options))


def log_a_little(writer):
    """Log some of several kinds, also in a run below and through the file writer."""
    writer.add_scalar("loss", 0.5, 3, 12.5)
    writer.add_scalar("loss", 0.25, 4, 13.5)
    writer.add_scalar_dict({"a": 1.0, "b": 2.0}, 5)
    writer.add_text("note", "text", 6)
    writer.add_scalars("both", {"x": 1.0}, 7)
    message = tensorboardxs.summary_pb2.Summary()
    message.value.add(tag="raw", simple_value=3.0)
    writer._get_file_writer().add_summary(message, 8)
    writer.close()


EXPECTED = [
    ("", "loss", 3),
    ("", "loss", 4),
    ("", "a", 5),
    ("", "b", 5),
    ("", "note/text_summary", 6),
    ("both", "both", 7),
    ("", "raw", 8),
]


@FAMILIES
def test_hooks_on_the_methods_of_filewriter_see_each_event_once(module, monkeypatch, tmp_path):
    """Both mlflow and clearml replace `add_event` and `add_summary` in the class."""
    seen, summaries = [], []
    add_event, add_summary = module.FileWriter.add_event, module.FileWriter.add_summary

    def hooked_event(self, event, step=None, walltime=None):
        run = "both" if "both" in self.get_logdir() else ""
        seen.extend((run, value.tag, step) for value in event.summary.value)
        return add_event(self, event, step, walltime)

    def hooked_summary(self, summary, *more):
        summaries.append(summary)
        return add_summary(self, summary, *more)

    monkeypatch.setattr(module.FileWriter, "add_event", hooked_event)
    monkeypatch.setattr(module.FileWriter, "add_summary", hooked_summary)
    log_a_little(flavored(module, tmp_path))
    assert seen == EXPECTED
    assert len(summaries) == 6
    assert points(tmp_path)["loss"] == [(3, 0.5), (4, 0.25)]
    assert len(event_files(tmp_path)) == 1


@FAMILIES
def test_a_class_in_the_place_of_eventfilewriter_gets_each_directory(module, monkeypatch, tmp_path):
    """As in wandb: a derived class replaces the name in the module, and its constructor notes the run."""
    told = []

    class Hook(module.EventFileWriter):
        def __init__(self, logdir, *args, **kwargs):
            told.append(logdir)
            super().__init__(logdir, *args, **kwargs)

    monkeypatch.setattr(module, "EventFileWriter", Hook)
    log_a_little(flavored(module, tmp_path))
    assert told[0] == str(tmp_path)
    assert len(told) == 2
    assert len(event_files(told[0])) == len(event_files(told[1])) == 1


@FAMILIES
def test_hooks_on_the_methods_of_eventfilewriter_are_called(module, monkeypatch, tmp_path):
    """A replaced `add_event` sees serialisable events; a replaced constructor receives the directory."""
    seen, told = [], []
    add_event, start = module.EventFileWriter.add_event, module.EventFileWriter.__init__

    def hooked_event(self, event):
        seen.extend(value.tag for value in event.summary.value)
        return add_event(self, event)

    def hooked_start(self, logdir, *args, **kwargs):
        told.append(logdir)
        return start(self, logdir, *args, **kwargs)

    monkeypatch.setattr(module.EventFileWriter, "add_event", hooked_event)
    monkeypatch.setattr(module.EventFileWriter, "__init__", hooked_start)
    log_a_little(flavored(module, tmp_path))
    assert seen == [tag for _, tag, _ in EXPECTED]
    assert told[0] == str(tmp_path)
    assert points(tmp_path)["loss"] == [(3, 0.5), (4, 0.25)]


def test_hooks_on_the_other_family_serve_where_there_are_none_on_its_own(monkeypatch, tmp_path):
    """A tool that hooks only torch's classes sees a run of the other flavor; if both are hooked, only one is called."""
    told = []
    for module in (torchs, tensorboardxs):

        def hooked(*_, family=module.__name__):
            told.append(family)

        monkeypatch.setattr(module.FileWriter, "add_event", hooked)
        writer = flavored(tensorboardxs, tmp_path)
        writer.add_scalar("loss", 0.5, 0)
        writer.close()
    assert told == [torchs.__name__, tensorboardxs.__name__]


def test_hooks_work_whether_they_come_before_the_patch_or_after(monkeypatch, tmp_path):
    """`patch` hides the originals but still calls their hooks, and hooks on tblog's classes as well."""
    told = []

    def hook(name):
        add_event = torchs.FileWriter.add_event

        def hooked(self, event, *more):
            told.append(name)
            return add_event(self, event, *more)

        return hooked

    monkeypatch.setattr(torchs.FileWriter, "add_event", hook("before"))
    tblog.patch()
    try:
        for name in ("before", "after"):
            if name == "after":
                monkeypatch.setattr(torchs.FileWriter, "add_event", hook("after"))
            with torchs.SummaryWriter(tmp_path / name) as writer:
                writer.add_scalar("loss", 0.5, 0)
        message = tensorboardxs.summary_pb2.Summary()
        message.value.add(tag="raw", simple_value=3.0)
        direct = torchs.FileWriter(str(tmp_path / "direct"))
        direct.add_summary(message, 1)
        direct.close()
    finally:
        monkeypatch.undo()
        tblog.unpatch()
    assert told == ["before", "after", "after"]
    assert points(tmp_path / "after") == {"loss": [(0, 0.5)]}
    assert points(tmp_path / "direct") == {"raw": [(1, 3.0)]}


def test_a_hook_that_raises_costs_no_record(monkeypatch, tmp_path, caplog):
    """The tool's failure is reported once, and the event file is complete."""

    def broken(*_):
        raise RuntimeError("the tool is out of order")

    monkeypatch.setattr(torchs.FileWriter, "add_event", broken)
    with SummaryWriter(tmp_path) as writer:
        for step in range(5):
            writer.add_scalar("loss", 0.5, step)
    assert len(points(tmp_path)["loss"]) == 5
    assert writer.stats.failed == 0
    assert caplog.text.count("the tool is out of order") == 1


def test_without_hooks_there_is_no_mirror(tmp_path):
    """Loaded originals without hooks, even patched ones, cost a writer nothing."""
    assert {torchs.__name__, tensorboardxs.__name__} <= set(sys.modules)
    tblog.patch()
    try:
        for kind in (SummaryWriter, torchs.SummaryWriter, tensorboardxs.SummaryWriter):
            with kind(str(tmp_path)) as writer:
                assert writer.file_writer.channel().mirror is None
    finally:
        tblog.unpatch()
