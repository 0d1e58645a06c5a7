"""The report's file, and how runs show themselves: everything that needs no browser."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.summary_pb2 import Summary

import tblog
from tblog import FileWriter, SummaryWriter
from tblog.reporting import _curves, _kinds, _media
from tblog.reporting._packing import Blocks, Packed, base_of
from tests.processes import run_program

SCRIPT = "</script><script>alert(1)</script><b>&"


def test_a_page_holds_no_script_but_its_own(tmp_path: Path) -> None:
    """A tag and a title that would end their element do not appear in the file verbatim."""
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar(SCRIPT, 1.0, 0)
        writer.add_text(SCRIPT, SCRIPT, 0)
    page = Path(tblog.report(tmp_path / "run", tmp_path / "r.html", title=SCRIPT).path).read_text()
    assert "alert(1)</script>" not in page
    assert "<b>&" not in page
    index = json.loads(re.search(r'id="index">(.*?)</script>', page)[1])
    assert [one["tag"] for one in index["scalars"]] == [SCRIPT]
    assert re.search(r"<(script|link|img)[^>]*(src|href)=", page) is None


def test_a_report_that_cannot_be_made_leaves_the_old_one(tmp_path: Path) -> None:
    """Without runs, an error says so, and the earlier file remains."""
    output = tmp_path / "report.html"
    output.write_text("before")
    with pytest.raises(FileNotFoundError):
        tblog.report(tmp_path / "nothing", output)
    assert output.read_text() == "before"
    assert list(tmp_path.iterdir()) == [output]


def test_numbers_come_back_as_they_were() -> None:
    """Float32 values take four bytes, others eight, and large steps do not wrap."""
    packed = Packed()
    assert packed.numbers(np.array([0.5, np.nan, np.inf])) == ["f4", 0]
    assert packed.numbers(np.array([0.1])) == ["f8", 0]
    assert packed.integers(np.array([5, 7, 6])) == ["i4", 5]
    assert packed.integers(np.array([0, 1 << 40])) == ["f8", 0]
    assert packed.integers(np.array([], np.int64)) == ["i4", 0]
    # A sum of differences would stop here: 2**53 + 1 is not a float64.
    assert packed.integers(np.array([2**53 + 2, 2**53 + 4])) == ["f8", 0]
    assert len(packed.bytes()) == 12 + 8 + 12 + 16 + 16


def test_large_steps_are_counted_from_a_round_number() -> None:
    """So a browser has each exactly; small steps, and those far apart, stay what they are."""
    for low in (2**53 + 3, 2**63 - 18, -(2**63)):
        base = base_of([low, low + 17])
        assert base % 100 == 0
        assert base <= low < base + 100
        packed = Packed()
        assert packed.integers(np.array([low, low + 17]), base) == ["i4", low - base]
    assert base_of([0, 100]) == base_of([]) == base_of([-(2**62), 2**62]) == 0


def test_a_long_curve_has_its_extremes_and_its_means(tmp_path: Path) -> None:
    """A curve over the bound is thinned, says from how many points, and gets a fourth column."""
    with SummaryWriter(tmp_path) as writer:
        for step in range(5000):
            writer.add_scalar("long", float(step), step)
            if step < 10:
                writer.add_scalar("short", float(step), step)
    found = {
        one["tag"]: one["curves"][0] for one in _curves.scalars(tblog.read(tmp_path).scalars, Blocks(), ["."])
    }
    assert (found["long"]["of"], len(found["long"]["columns"])) == (5000, 4)
    assert found["long"]["points"] <= _curves.MOST_POINTS
    assert (found["short"]["points"], len(found["short"]["columns"])) == (10, 3)


def test_what_would_make_the_page_too_large_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sounds have a bound in bytes; the last steps of all tags come first, and the rest are counted."""
    clip = np.zeros((1, 1000), np.float32)
    with SummaryWriter(tmp_path) as writer:
        for step in range(4):
            writer.add_audio("first", clip, step)
            writer.add_audio("second", clip, step)
    monkeypatch.setattr(_media, "SOUND_BYTES", 6500)
    blocks = Blocks()
    first, second = _media.sounds(tblog.read(tmp_path).audio, blocks, ["."])
    assert (first["steps"], second["steps"]) == ([2, 3], [3])
    assert (first["noRoom"], second["noRoom"]) == (2, 3)
    assert [kind for ((kind, _),) in first["shown"]] == ["audio/wav"] * 2
    assert len(blocks.texts) == 3


def test_pictures_are_pictures_and_sounds_are_sounds(tmp_path: Path) -> None:
    """Encoded bytes are typed by their first bytes, whatever they were logged as; the page cannot show others."""
    encoded = {
        "sound": b"RIFF\0\0\0\0WAVE",
        "drawing": b"<svg onload=alert(1)>",
        "picture": b"RIFF\0\0\0\0WEBP",
    }
    writer = FileWriter(str(tmp_path))
    for tag, content in encoded.items():
        image = Summary.Image(height=1, width=1, colorspace=3, encoded_image_string=content)
        writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), 0)
    writer.close()
    shown = {one["tag"]: one for one in _media.images(tblog.read(tmp_path).images, Blocks(), ["."])}
    assert (shown["sound"]["steps"], shown["sound"]["unreadable"]) == ([], 1)
    assert (shown["drawing"]["steps"], shown["drawing"]["unreadable"]) == ([], 1)
    assert shown["picture"]["shown"] == [[["image/webp", 0]]]


def test_a_pr_curve_ends_where_tensorboards_ends(tmp_path: Path) -> None:
    """Thresholds above which nothing is predicted are left out; many thresholds are thinned, and both ends are kept."""
    labels, predictions = np.array([0, 1, 1, 0]), np.array([0.1, 0.5, 0.4, 0.3])
    with SummaryWriter(tmp_path) as writer:
        writer.add_pr_curve("short", labels, predictions, 0, num_thresholds=11)
        rows = np.ones(1001)
        rows[501:] = 0
        writer.add_pr_curve_raw("long", rows, rows, rows, rows, rows, rows, 0, num_thresholds=1001)
        writer.add_pr_curve("none", labels[:0], predictions[:0], 0)
    shown = {item.tag: _kinds._pr_curve(item) for item in tblog.read(tmp_path).pr_curves}
    assert shown["short"]["thresholds"] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert shown["short"]["recall"][0] == 1
    assert shown["short"]["precision"][-1] == 1
    assert len(shown["long"]["recall"]) == _kinds.MOST_THRESHOLDS
    assert (shown["long"]["thresholds"][0], shown["long"]["thresholds"][-1]) == (0, 0.5)
    assert len(shown["none"]["recall"]) == 1


def test_what_is_not_shown_is_counted(tmp_path: Path) -> None:
    """A mesh counts once, although each of its parts has a tag."""
    with SummaryWriter(tmp_path) as writer:
        vertices, faces = np.zeros((1, 3, 3), np.float32), np.zeros((1, 1, 3), np.int32)
        writer.add_mesh("ball", vertices, faces=faces, global_step=0)
        writer.add_tensor("raw", np.zeros(3), 0)
    assert _kinds.kinds(tblog.read(tmp_path), Blocks(), ["."])["absent"] == {"meshes": 1, "tensors": 1}


def test_a_report_loads_no_other_tool(tmp_path: Path) -> None:
    """It imports neither torch, TensorBoard nor pandas."""
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("loss", 1.0, 0)
    code = (
        f"import sys, tblog; tblog.report({str(tmp_path / 'run')!r}, {str(tmp_path / 'r.html')!r});"
        "print([n for n in ('torch', 'tensorboard', 'tensorflow', 'tensorboardX', 'pandas') if n in sys.modules])"
    )
    assert run_program(code).strip() == "[]"


def test_a_report_shows_itself_in_a_notebook(tmp_path: Path) -> None:
    """Without a file it is the same page, in a frame that it cannot leave."""
    with SummaryWriter(tmp_path / "runs") as writer:
        writer.add_scalar("loss", 1.0, 0)
    page = tblog.report(tmp_path / "runs")
    assert (page.path, list(tmp_path.iterdir())) == (None, [tmp_path / "runs"])
    frame = page._repr_html_()
    assert frame.count("<") == 2
    assert 'sandbox="allow-scripts"' in frame
    assert unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == page.html
    assert repr(page) == f"<Report: {len(page.html):,} characters>"


def test_runs_show_a_table_in_a_notebook(tmp_path: Path) -> None:
    """Runs, and a single run, show their tags of each kind and their last step; names are escaped."""
    with SummaryWriter(tmp_path / "<b>one") as writer:
        writer.add_scalar("loss", 1.0, 41)
        writer.add_text("remark", "hello", 0)
    runs = tblog.read(tmp_path)
    for shown in (runs, runs["<b>one"]):
        page = shown._repr_html_()
        assert "<td>&lt;b&gt;one</td><td>1</td><td>1</td><td>41</td>" in page
        assert "<b>" not in page
