"""Embeddings lie where both originals put them, and the projector reads what was logged."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
import torch
import torch.utils.tensorboard
from google.protobuf import text_format
from PIL import Image
from tensorboard import program
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tblog import SummaryWriter
from tblog._files.run_files import is_hopeless
from tblog.errors import InvalidValueError, UnsupportedTypeError
from tblog.records import EmbeddingRecord
from tblog.summaries import _projector, check
from tblog.summaries.embedding import write_embedding
from tests.processes import read_line, running_python, say
from tests.waiting import HANG_SECS

ORIGINALS = (torch.utils.tensorboard.SummaryWriter, tensorboardX.SummaryWriter)
generator = np.random.default_rng(2)
MATRIX = generator.normal(size=(7, 3)).astype(np.float32)
LABELS = ["zero", "one", 2, 3.5, None, "Grüße", "six seven"]
ROWS = [[f"n{index}", index] for index in range(7)]
IMAGES = generator.random((7, 3, 5, 5))

CASES = {
    "points alone": {},
    "labels": {"labels": LABELS},
    "columns": {"labels": ROWS, "header": ["name", "index"]},
    "images": {"images": IMAGES},
    "grey images": {"images": IMAGES[:, :1].astype(np.float32), "labels": LABELS},
    "float64 points": {"matrix": MATRIX.astype(np.float64)},
    "float16 points": {"matrix": MATRIX.astype(np.float16)},
    "integer points": {"matrix": np.arange(21).reshape(7, 3)},
    "one point": {"matrix": MATRIX[:1], "labels": ["a"], "images": IMAGES[:1]},
    "one dimension": {"matrix": MATRIX[:, :1]},
    "a tag with slashes": {"tag": "a/b%d"},
    "a tag to escape": {"tag": 'a\\b näme "quoted"'},
}
# tensorboardX escapes no tag, and what it writes then cannot be parsed.
COMPARED = [(case, writer) for case in CASES for writer in ORIGINALS[: 1 if case == "a tag to escape" else 2]]


def record_of(**given):
    """Return a record with a default tag and points unless others are given."""
    return EmbeddingRecord(**{"tag": "default", "matrix": MATRIX, **given})


def config_of(logdir):
    """Return the projector's configuration, parsed as TensorBoard does."""
    text = (Path(logdir) / "projector_config.pbtxt").read_text()
    return text_format.Parse(text, ProjectorConfig())


def files_of(logdir):
    """Return each file's bytes below a directory, pictures as pixels, without event files and the configuration."""
    found = {}
    for path in sorted(Path(logdir).rglob("*")):
        if path.is_file() and "tfevents" not in path.name and path.suffix != ".pbtxt":
            content = np.asarray(Image.open(path)).tolist() if path.suffix == ".png" else path.read_bytes()
            found[str(path.relative_to(logdir))] = content
    return found


@pytest.mark.parametrize(("case", "writer_class"), COMPARED, ids=str)
def test_the_files_are_the_originals(case, writer_class, tmp_path):
    """Names and contents of all files, pixels of the sprite, and what the configuration says."""
    record = record_of(**CASES[case])
    images = None if record.images is None else torch.from_numpy(record.images)
    write_embedding(record, str(tmp_path / "ours"), 12)
    with writer_class(str(tmp_path / "theirs")) as writer:
        writer.add_embedding(record.matrix, record.labels, images, 12, record.tag, record.header)
    ours, theirs = files_of(tmp_path / "ours"), files_of(tmp_path / "theirs")
    if writer_class is tensorboardX.SummaryWriter:  # it leaves the rows below the images uninitialised
        rows = -(-len(record.matrix) // int(np.ceil(np.sqrt(len(record.matrix))))) * 5
        for files in (ours, theirs):
            files.update({name: content[:rows] for name, content in files.items() if name.endswith("png")})
    assert ours == theirs
    assert config_of(tmp_path / "ours") == config_of(tmp_path / "theirs")


@pytest.mark.parametrize("step", [0, 3, 123456, -1])
def test_the_step_has_five_digits(step, tmp_path):
    """Both originals pad it with zeros."""
    write_embedding(record_of(), str(tmp_path / "ours"), step)
    with ORIGINALS[0](str(tmp_path / "theirs")) as writer:
        writer.add_embedding(MATRIX, global_step=step)
    assert config_of(tmp_path / "ours") == config_of(tmp_path / "theirs")


def test_earlier_entries_stay(tmp_path):
    """Each embedding is added once, even after another process's entry or by a reopened writer."""
    with tensorboardX.SummaryWriter(str(tmp_path)) as writer:
        writer.add_embedding(MATRIX, tag="theirs")
    for step in (1, 2, 2):
        write_embedding(record_of(), str(tmp_path), step)
    names = [entry.tensor_name for entry in config_of(tmp_path).embeddings]
    assert names == ["theirs:00000", "default:00001", "default:00002"]


@pytest.mark.parametrize(
    "tag", ["..", ".", "../../up", "/etc", "a/../../b", "~", "\0", "tab\tand\nline", "..."]
)
def test_no_tag_leads_out_of_the_log_directory(tag, tmp_path):
    """All files are in their own directory, two levels below the run, and the configuration finds them there."""
    logdir = tmp_path / "run"
    write_embedding(record_of(tag=tag, labels=LABELS), str(logdir), 1)
    (entry,) = config_of(logdir).embeddings
    assert entry.tensor_name == f"{tag}:00001"
    for name in (entry.tensor_path, entry.metadata_path):
        path = (logdir / name).resolve()
        assert path.is_file()
        assert path.parent.parent == (logdir / "00001").resolve()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_labels_stay_on_their_points(tmp_path):
    """Tabs and line ends in labels, blank labels and a single column's header would shift those that follow."""
    labels = ["a\tb", "c\nd", "", "  ", "e\r\nf", "g", "h"]
    write_embedding(record_of(labels=[[label] for label in labels], header=["only"]), str(tmp_path), 1)
    lines = (tmp_path / "00001/default/metadata.tsv").read_text().splitlines()
    assert lines == ["a b", "c d", "-", "-  ", "e  f", "g", "h"]


@pytest.mark.parametrize("labels", [torch.arange(7), np.arange(7)], ids=["torch", "numpy"])
def test_labels_of_an_array_are_its_values(labels, tmp_path):
    """A tensor of classes gives "3" and not "tensor(3)"."""
    write_embedding(record_of(labels=labels), str(tmp_path), 1)
    assert (tmp_path / "00001/default/metadata.tsv").read_text().split() == list("0123456")


def test_uint8_images_keep_their_values(tmp_path):
    """Both originals multiply them by 255 and show white."""
    images = (IMAGES * 255).astype(np.uint8)
    write_embedding(record_of(images=images), str(tmp_path), 1)
    sprite = np.asarray(Image.open(tmp_path / "00001/default/sprite.png"))
    assert (sprite[:5, :5] == images[0].transpose(1, 2, 0)).all()
    assert (sprite[5:10, :5] == images[3].transpose(1, 2, 0)).all()
    assert (sprite[10:, 5:] == 0).all()


def test_float_images_from_0_to_255_are_reported(tmp_path, caplog):
    """They are white on the sprite, as in `add_images`; the report comes once, when the files are written."""
    with SummaryWriter(tmp_path) as writer:
        writer.add_embedding(MATRIX, label_img=IMAGES * 255, tag="faces")
        writer.flush()
        assert writer.stats.values_left_out == np.count_nonzero(IMAGES * 255 > 1)
    assert [
        record.message
        for record in caplog.records
        if "'faces'" in record.message and "divide by 255" in record.message
    ]


@pytest.mark.parametrize("shape", [(4, 6), (6, 3)])
def test_images_are_made_square(shape, tmp_path):
    """The projector needs square images on a square sprite: others are padded with black."""
    images = np.ones((7, 3, *shape), np.float32)
    write_embedding(record_of(images=images), str(tmp_path), 1)
    (entry,) = config_of(tmp_path).embeddings
    assert list(entry.sprite.single_image_dim) == [6, 6]
    sprite = np.asarray(Image.open(tmp_path / "00001/default/sprite.png"))
    assert sprite.shape == (18, 18, 3)
    assert (sprite[:6, :6] == 255).sum() == 3 * shape[0] * shape[1]


def test_a_file_that_cannot_be_written_leaves_the_configuration_as_it_was(tmp_path):
    """The configuration never names missing files, and no half-written file remains."""
    write_embedding(record_of(), str(tmp_path), 1)
    before = config_of(tmp_path)
    (tmp_path / "00002").write_text("in the way")
    with pytest.raises(OSError, match="00002"):
        write_embedding(record_of(), str(tmp_path), 2)
    assert config_of(tmp_path) == before
    assert not list(tmp_path.rglob("*.tmp"))


ADD = """
import sys
import numpy as np
from tblog.records import EmbeddingRecord
from tblog.summaries.embedding import write_embedding

logdir, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for step in range(count):
    write_embedding(EmbeddingRecord(tag=name, matrix=np.eye(2)), logdir, step)
"""

ADD_AS_TENSORBOARDX = """
import sys
from tensorboardX.embedding import append_pbtxt

logdir, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for step in range(count):
    append_pbtxt(None, None, logdir, f"{step:05d}/{name}", step, name)
"""


def add_at_once(logdir, programs, count):
    """Let programs add embeddings to one configuration at the same time; return the entries' names."""
    logdir.mkdir()
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(running_python(source, logdir, name, count))
            for name, source in programs.items()
        ]
        assert [read_line(process) for process in running] == ["ready"] * len(running)
        for process in running:
            say(process)
        assert [process.wait(HANG_SECS) for process in running] == [0] * len(running)
    return sorted(entry.tensor_name for entry in config_of(logdir).embeddings)


def names(tags, count):
    """Return the expected names of entries, for these tags at this many steps each."""
    return sorted(f"{tag}:{step:05d}" for tag in tags for step in range(count))


def test_processes_that_add_to_one_configuration_lose_no_entry(tmp_path):
    """Each entry of each process is there once, and nothing else is left in the log directory."""
    assert add_at_once(tmp_path / "run", {"a": ADD, "b": ADD}, 200) == names("ab", 200)
    left = {path.name for path in (tmp_path / "run").iterdir() if not path.is_dir()}
    assert left == {"projector_config.pbtxt"}


def test_threads_that_add_to_one_configuration_lose_no_entry(tmp_path):
    """Two writers of one process may have separate workers."""
    with ThreadPoolExecutor(4) as pool:
        for tag in "abcd":
            for step in range(20):
                pool.submit(write_embedding, record_of(tag=tag), str(tmp_path), step)
    assert sorted(entry.tensor_name for entry in config_of(tmp_path).embeddings) == names("abcd", 20)


def test_tensorboardx_and_tblog_add_to_one_configuration_at_the_same_time(tmp_path):
    """It takes no lock, and appends as tblog does."""
    found = add_at_once(tmp_path / "run", {"ours": ADD, "theirs": ADD_AS_TENSORBOARDX}, 300)
    assert found == names(["ours", "theirs"], 300)


HOLD = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="there are no such locks")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_is_killed_or_stopped_keeps_nobody_from_a_configuration(tmp_path, end, monkeypatch):
    """Its lock ends with it, or others wait for it only briefly."""
    monkeypatch.setattr(_projector, "LOCK_SECS", 0.1)
    config = tmp_path / "projector_config.pbtxt"
    with running_python(HOLD, config, prints="held") as holder:
        holder.send_signal(end)
        write_embedding(record_of(), str(tmp_path), 1)
    assert len(config_of(tmp_path).embeddings) == 1


def test_a_disk_that_fills_up_in_an_entry_leaves_the_others_readable(tmp_path, monkeypatch):
    """The partial entry is cut off again, and another try adds it."""
    write_embedding(record_of(), str(tmp_path), 1)
    write = os.write
    with monkeypatch.context() as full:
        room = [10]

        def write_some(fd, data):
            if not room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(fd, data[: room.pop()])

        full.setattr(os, "write", write_some)
        with pytest.raises(OSError, match="No space left"):
            write_embedding(record_of(), str(tmp_path), 2)
    assert [entry.tensor_name for entry in config_of(tmp_path).embeddings] == ["default:00001"]
    write_embedding(record_of(), str(tmp_path), 2)
    assert [entry.tensor_name for entry in config_of(tmp_path).embeddings] == [
        "default:00001",
        "default:00002",
    ]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EROFS, errno.EIO, errno.ENOENT, errno.ENOSPC])
def test_another_try_after_an_error_at_any_file_makes_all_of_them(tmp_path, monkeypatch, number):
    """Whichever system call failed: the same files, one entry, and nothing else."""
    record = record_of(labels=LABELS, images=IMAGES)
    whole = tmp_path / "whole"
    write_embedding(record, str(whole), 1)
    errors = []
    for at in range(1, 12):
        again = tmp_path / str(at)
        try:
            with monkeypatch.context() as broken:
                fail_once(broken, at, number)
                write_embedding(record, str(again), 1)
        except OSError as error:
            errors.append(error)
            write_embedding(record, str(again), 1)
        assert files_of(again) == files_of(whole)
        assert config_of(again) == config_of(whole)
    assert [error.errno for error in errors] == [number] * 9  # two directories are there already
    assert not is_hopeless(OSError(number, ""), str(tmp_path))


def fail_once(patch, at, number):
    """Let one of the calls of the operating system fail by which an embedding is written."""
    calls = iter(range(1, 100))

    def failing(real):
        def call(*arguments, **more):
            if next(calls) == at:
                raise OSError(number, os.strerror(number))
            return real(*arguments, **more)

        return call

    patch.setattr(os, "mkdir", failing(os.mkdir))
    patch.setattr(os, "replace", failing(os.replace))
    patch.setattr(os, "write", failing(os.write))
    patch.setattr(os, "open", failing(os.open))
    patch.setattr("builtins.open", failing(open))


def test_another_try_after_the_directory_was_removed_makes_all_files(tmp_path, monkeypatch):
    """The configuration is written only after the files that it names."""
    logdir = tmp_path / "run"
    replaced = os.replace

    def replace_and_remove(source, target):
        replaced(source, target)
        if target.endswith("metadata.tsv"):
            shutil.rmtree(logdir)
            logdir.mkdir()

    with monkeypatch.context() as removing:
        removing.setattr(os, "replace", replace_and_remove)
        with pytest.raises(FileNotFoundError, match="No such file"):
            write_embedding(record_of(labels=LABELS), str(logdir), 1)
    assert list(logdir.iterdir()) == []
    write_embedding(record_of(labels=LABELS), str(logdir), 1)
    (entry,) = config_of(logdir).embeddings
    assert (logdir / entry.tensor_path).is_file()
    assert (logdir / entry.metadata_path).is_file()


def test_a_name_that_no_file_can_have_is_an_error_that_no_wait_mends(tmp_path, monkeypatch):
    """A tag that is too long raises at the call; a path that is too long, or a file in the way, is not retried."""
    check(record_of(tag="ä" * 127))
    for tag in ("x" * 256, "ä" * 128, "/" * 90):
        with pytest.raises(InvalidValueError, match=r"length of the tag in bytes was .* 255 at most"):
            check(record_of(tag=tag))
    (tmp_path / "00002").write_text("in the way")
    with pytest.raises((FileExistsError, NotADirectoryError)) as in_the_way:
        write_embedding(record_of(), str(tmp_path), 2)
    monkeypatch.chdir(tmp_path)
    deep = "/".join(["d" * 200] * 19)
    with pytest.raises(OSError, match="File name too long") as too_long:
        write_embedding(record_of(tag="t" * 255), f"{tmp_path}/{deep}", 2)
    assert is_hopeless(in_the_way.value, str(tmp_path))
    assert is_hopeless(too_long.value, str(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"matrix": MATRIX[0]}, InvalidValueError),
        ({"matrix": MATRIX * 1j}, UnsupportedTypeError),
        ({"labels": LABELS[:-1]}, InvalidValueError),
        ({"labels": LABELS, "header": ["a", "b"]}, InvalidValueError),
        ({"labels": ROWS, "header": ["a"]}, InvalidValueError),
        ({"images": IMAGES[:-1]}, InvalidValueError),
        ({"images": IMAGES[0]}, InvalidValueError),
        ({"images": np.broadcast_to(np.uint8(0), (7, 3, 3000, 3000))}, InvalidValueError),
    ],
)
def test_what_does_not_go_together_is_refused(wrong, error):
    """The call compares only shapes: rows, labels, columns, images, and the side of the sprite."""
    with pytest.raises(error, match="embedding 'default'"):
        check(record_of(**wrong))


def test_the_projector_serves_what_was_written(tmp_path):
    """TensorBoard's own plugin finds the embedding and gives back its values, labels and sprite."""
    write_embedding(record_of(labels=LABELS, images=IMAGES, tag="a/b"), str(tmp_path), 3)
    with tensorboardX.SummaryWriter(str(tmp_path)) as writer:
        writer.add_scalar("s", 1.0)
    board = program.TensorBoard()
    board.configure(logdir=str(tmp_path), load_fast="false", reload_interval=0, port=0)
    base = board.launch() + "data/plugin/projector"

    def served(route):
        with urllib.request.urlopen(f"{base}/{route}", timeout=60) as answer:
            return answer.read()

    info = json.loads(served("info?run=."))["embeddings"][0]
    assert (info["tensorName"], info["tensorShape"]) == ("a/b:00003", [7, 3])
    tensor = np.frombuffer(served("tensor?run=.&name=a/b:00003&num_rows=10"), np.float32)
    assert (tensor.reshape(7, 3) == MATRIX).all()
    labels = served("metadata?run=.&name=a/b:00003&num_rows=10").decode()
    assert labels.splitlines() == [str(label) for label in LABELS]
    sprite = Image.open(io.BytesIO(served("sprite_image?run=.&name=a/b:00003")))
    assert sprite.size == (15, 15)
