"""How a writer shows itself: in one line, and in a notebook."""

from __future__ import annotations

import pickle
import shlex
from html.parser import HTMLParser

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tblog import GlobalSummaryWriter, SummaryWriter, _display
from tests.reading import event_files

ODD = "runs/<b>bold</b> & 'quo\"ted' $HOME {name} {1} é\udcff"


class Seen(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, _attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text += data


class Mine(SummaryWriter):
    """A writer of the caller's."""


def test_the_line_has_the_directory_the_state_and_the_counts(tmp_path, monkeypatch):
    """Errors and losses appear only if there are any."""
    monkeypatch.chdir(tmp_path)
    writer = SummaryWriter("run")
    assert repr(writer) == "<SummaryWriter 'run' (open): 0 logged, 0 written>"
    for step in range(1204):
        writer.add_scalar("x", 1.0, step)
    writer.add_histogram("h", np.array([1.0, np.nan]))
    writer.flush()
    assert repr(writer) == "<SummaryWriter 'run' (open): 1,205 logged, 1,205 written, 1 values left out>"
    writer.close()
    assert repr(writer) == "<SummaryWriter 'run' (closed): 1,205 logged, 1,205 written, 1 values left out>"


def test_the_line_opens_no_file_and_needs_no_finished_writer(tmp_path):
    """A debugger may ask at any time: for a closed writer, a copy, one without a disk, or one never fully made."""
    writer = Mine(tmp_path)
    writer.close()
    files = event_files(tmp_path)
    copy = pickle.loads(pickle.dumps(writer))
    for each in (writer, copy):
        assert repr(each).startswith(f"<Mine {str(tmp_path)!r} (closed)")
        assert str(tmp_path) in each._repr_html_()
    assert event_files(tmp_path) == files
    assert "(writes nothing)" in repr(SummaryWriter(tmp_path, write_to_disk=False))
    assert repr(Mine.__new__(Mine)) == "<Mine '' (closed): 0 logged, 0 written>"


def test_a_notebook_shows_the_counts_and_the_line_to_copy(tmp_path, monkeypatch):
    """IPython's own formatter shows it; HTML in the directory's name is escaped."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(ODD) as writer:
        writer.add_scalar("x", 1.0, 1)
    shown, _ = InteractiveShell().display_formatter.format(writer)
    assert shown["text/plain"] == repr(writer)
    page = Seen(shown["text/html"])
    assert page.tags == ["div", "strong", "code", "table", *["tr", "td", "td"] * 3, "pre"]
    name = ODD.replace("\udcff", "\\udcff")
    assert page.text.startswith(f"SummaryWriter {name} (closed)logged1written1bytes on disk")
    assert "%load_ext tensorboard\n%tensorboard --logdir " in page.text
    shown["text/html"].encode()


@pytest.mark.parametrize(
    "logdir", ["runs/demo", ODD[:-1], "a b", "$", "$name", "it's $name's {name}", "{", "}}", "%x", "#"]
)
def test_the_line_to_copy_opens_that_directory(logdir):
    """IPython expands variables in the line, and TensorBoard splits it as a shell does."""
    opened = []
    shell = InteractiveShell()
    shell.register_magic_function(opened.append, magic_name="tensorboard")
    shell.user_ns["name"] = "another"
    assert shell.run_cell(_display.magic(logdir)).success
    ((option, given),) = (shlex.split(line, comments=True) for line in opened)
    assert (option, given) == ("--logdir", logdir)


def test_the_global_writer_shows_its_directory(tmp_path):
    """Its process is not asked, since it may be gone."""
    writer = GlobalSummaryWriter(tmp_path)
    writer.close()
    assert repr(writer) == f"<GlobalSummaryWriter {str(tmp_path)!r}>"
    assert repr(GlobalSummaryWriter.__new__(GlobalSummaryWriter)) == "<GlobalSummaryWriter ''>"
