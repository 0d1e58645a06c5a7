"""A log directory stays where it was when its writer was made, and an invalid one raises an error that says why."""

from __future__ import annotations

import copy
import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import tblog
from tblog import FileWriter, GlobalSummaryWriter, RecordWriter, SummaryWriter
from tblog.errors import InvalidValueError, without_secrets, without_user
from tblog.options import WriterOptions
from tblog.records import ScalarRecord
from tests.needs import need_package
from tests.processes import run_program
from tests.reading import event_files, points

WRITERS = (SummaryWriter, FileWriter, GlobalSummaryWriter, RecordWriter)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Start in one directory, and return a function that changes to another, which must stay empty."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield lambda: os.chdir(tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_change_of_directory_does_not_split_a_run(tmp_path, elsewhere):
    """Scalars, runs below, embeddings, reads, and the file after a close all use the run's first directory."""
    writer = SummaryWriter("run")
    writer.add_scalar("x", 1.0, 1)
    writer.add_scalars("before", {"a": 1.0}, 1)
    elsewhere()
    writer.add_scalars("after", {"a": 2.0}, 1)
    writer.add_hparams({"lr": 0.1}, {"loss": 1.0}, run_name="trial")
    writer.add_embedding(np.eye(2))
    writer.export_scalars_to_json(tmp_path / "scalars.json")
    writer.close()
    writer.add_scalar("x", 2.0, 2)
    writer.close()
    run = tmp_path / "here" / "run"
    assert points(run)["x"] == [(1, 1.0), (2, 2.0)]
    assert {path.name for path in run.iterdir() if path.is_dir()} == {"before_a", "after_a", "trial", "00000"}
    assert (run / "projector_config.pbtxt").exists()
    assert {
        name: series[0][1:] for name, series in json.loads((tmp_path / "scalars.json").read_text()).items()
    } == {
        "run/before_a": [1, 1.0],
        "run/after_a": [1, 2.0],
    }


def test_the_directory_is_shown_as_it_was_given(elsewhere):
    """Both originals do so: in the attribute, in the method, and in the keys of the writers below."""
    with SummaryWriter("run") as writer:
        elsewhere()
        writer.add_scalars("x", {"a": 1.0}, 1)
        assert (
            writer.log_dir == writer.logdir == writer.get_logdir() == writer.file_writer.get_logdir() == "run"
        )
        assert list(writer.all_writers) == ["run", "run/x_a"]
        assert writer.file_writer.event_writer.get_logdir() == "run"


def test_a_file_writer_opens_its_next_file_beside_the_first(tmp_path, elsewhere):
    """`FileWriter` alone, closed and opened again."""
    writer = FileWriter("run")
    elsewhere()
    writer.close()
    writer.put(ScalarRecord(tag="x", value=1.0), 1, 1.0)
    writer.close()
    assert len(event_files(tmp_path / "here" / "run")) == 2


def test_a_record_writer_stays_with_its_file(tmp_path, elsewhere):
    """`RecordWriter` opens its file at once."""
    writer = RecordWriter("records")
    elsewhere()
    writer.write(b"one")
    writer.close()
    assert writer.path == "records"
    assert (tmp_path / "here" / "records").stat().st_size == 19


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda writer: pickle.loads(pickle.dumps(writer))])
def test_a_copy_logs_into_the_directory_of_its_original(tmp_path, elsewhere, copied):
    """A copy opened in another current directory, such as a data loader's, belongs to the same run."""
    with SummaryWriter("run") as writer:
        elsewhere()
        with copied(writer) as twin:
            twin.add_scalar("x", 1.0, 1)
            assert twin.log_dir == "run"
    assert points(tmp_path / "here" / "run") == {"x": [(1, 1.0)]}


def test_a_forked_child_logs_into_the_directory_of_its_parent(tmp_path):
    """Whatever directory the child changes to."""
    run_program(
        """
        import os
        from tblog import SummaryWriter
        os.mkdir("here"), os.mkdir("there"), os.chdir("here")
        with SummaryWriter("run") as writer:
            child = os.fork()
            if not child:
                os.chdir("../there")
                writer.add_scalar("x", 1.0, 1)
                writer.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        assert os.listdir("../there") == []
        """,
        tmp_path,
    )
    assert points(tmp_path / "here" / "run") == {"x": [(1, 1.0)]}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_global_writer_logs_where_it_was_made(tmp_path, method):
    """Its process, and those it is sent to, may have other current directories."""
    (tmp_path / "program.py").write_text(
        f"""
import multiprocessing, os
from tblog import GlobalSummaryWriter

def work(writer):
    os.chdir("/")
    writer.add_scalar("x", 2.0)

if __name__ == "__main__":
    context = multiprocessing.get_context({method!r})
    multiprocessing.set_start_method({method!r})
    writer = GlobalSummaryWriter("run")
    os.mkdir("there")
    os.chdir("there")
    writer.add_scalar("x", 1.0)
    process = context.Process(target=work, args=(writer,))
    process.start()
    process.join()
    assert writer.logdir == writer.get_logdir() == writer.file_writer.get_logdir() == "run"
    writer.close()
    writer.add_scalar("x", 3.0)
    assert os.listdir() == []
"""
    )
    run_program(
        "import subprocess, sys; subprocess.run([sys.executable, 'program.py'], check=True)", tmp_path
    )
    assert points(tmp_path / "run") == {"x": [(0, 1.0), (1, 2.0), (2, 3.0)]}


def test_resume_looks_for_the_run_where_it_will_write(tmp_path, elsewhere):
    """For a relative path, the last step is that of the run, and the directory is the same after a close."""
    with SummaryWriter("run") as writer:
        writer.add_scalar("x", 1.0, 7)
    with SummaryWriter("run", resume=True) as writer:
        elsewhere()
        assert writer.next_step == 8
        writer.add_scalar("x", 2.0, 8)
    assert points(tmp_path / "here" / "run") == {"x": [(7, 1.0), (8, 2.0)]}


@pytest.mark.parametrize(
    "name", ["a:b", "runs/a:b", "runs/x://y", "C:run", "c:/run", "C://run", "12:30", "@home"]
)
def test_a_local_name_with_a_colon_is_a_local_name(tmp_path, monkeypatch, name):
    """Times and drives are not URLs."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(name) as writer:
        writer.add_scalar("x", 1.0, 1)
    assert points(tmp_path / name) == {"x": [(1, 1.0)]}


def test_a_file_url_is_the_local_directory_that_it_names(tmp_path, monkeypatch):
    """Torch's writer does the same."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(f"file://{tmp_path}/run") as writer:
        writer.add_scalar("x", 1.0, 1)
        assert writer.log_dir == f"file://{tmp_path}/run"
    assert points(tmp_path / "run") == {"x": [(1, 1.0)]}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("url", ["https://user:secret@h/x", "file://host/x", "my+x://y"])
def test_a_url_that_nothing_can_write_to_is_refused_by_name(tmp_path, monkeypatch, writer, url):
    """No writer makes a local directory from it, and no message contains a password."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ValueError, match=rf"cannot write to {url.partition(':')[0].replace('+', '.')}:// URLs"
    ) as refusal:
        writer(url)
    assert "register_writer_factory" in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "url", ["az://box/run", "hdfs://host/run", "memory://run", "gs://b/run", "file:///tmp/run"]
)
def test_a_url_that_went_through_pathlib_is_refused(tmp_path, monkeypatch, writer, url):
    """It leaves out a slash; no local directory of such a name is made."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"as a str \(pathlib leaves out a slash\)"):
        writer(Path(url))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("given", [3, 1.5, b"run", ["run"]])
def test_what_is_no_path_is_refused(tmp_path, monkeypatch, writer, given):
    """The error names the argument, value and type, and does not come from deeper code."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=rf"was {given!r}|got {given!r}".replace("[", r"\[")):
        writer(given)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", WRITERS)
def test_a_name_that_no_file_has_is_refused(writer):
    """A NUL, or an empty name where it does not mean the default directory."""
    with pytest.raises(ValueError, match=r"was 'run\\x00'; give a path without a NUL"):
        writer("run\0")
    if writer in {FileWriter, RecordWriter}:
        with pytest.raises(ValueError, match="was ''; give a path"):
            writer("")


@pytest.mark.parametrize("writer", WRITERS[:3])
@pytest.mark.parametrize(("name", "error"), [("file", FileExistsError), ("file/run", NotADirectoryError)])
def test_the_error_for_a_file_in_the_place_of_the_directory_says_what_to_do(
    tmp_path, monkeypatch, writer, name, error
):
    """The error has the operating system's class and number, and a readable message."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    wanted = rf"the log directory '{name}': a file is in its way\. Remove the file, or give another directory"
    with pytest.raises(error, match=wanted.replace(f"'{name}'", rf"'.*{name}'")) as refusal:
        writer(name)
    assert refusal.value.errno


def test_resume_tells_of_a_file_in_the_place_of_the_directory(tmp_path):
    """The last step is looked for there first."""
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="a file is in its way"):
        SummaryWriter(tmp_path / "file", resume=True)


def test_the_error_for_a_relative_directory_without_a_current_one_says_what_to_do(tmp_path, monkeypatch):
    """Somebody has removed the current directory."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(
        FileNotFoundError, match="'run', and the current directory is gone; give an absolute path"
    ):
        SummaryWriter("run")
    with SummaryWriter(tmp_path / "run") as writer:
        writer.add_scalar("x", 1.0, 1)
    assert points(tmp_path / "run") == {"x": [(1, 1.0)]}


@pytest.mark.skipif(not os.path.isdir("/sys"), reason="needs a directory that nobody may write to")
@pytest.mark.parametrize("writer", WRITERS[:3])
def test_the_error_for_a_directory_that_nobody_may_make_says_what_to_do(writer):
    """The message has the operating system's words, and tblog's advice."""
    wanted = (
        "cannot write to the log directory '/sys/tblog': .+ Give a directory that this process may make and"
    )
    with pytest.raises(OSError, match=wanted):
        writer("/sys/tblog")


def test_messages_and_reprs_show_nothing_secret_of_a_url(caplog):
    """Neither what stands before the host, whatever signs it has, nor what signs a request."""
    url = "memory://user:pa'ss@shown/run?sig=secret&X-Amz-Signature=secret"
    writer = SummaryWriter(url, options=WriterOptions(max_queue_records=1, overflow="drop"))
    writer.file_writer.channel().reports.silence(60, 1, [])
    told = repr(writer) + writer._repr_html_() + caplog.text
    writer.close()
    assert "shown/run" in told
    assert "pa'ss" not in told
    assert "secret" not in told


def test_only_what_a_store_says_has_no_signature_outside_of_a_url():
    """A directory may be called sig=0.1; a store may quote the headers of a request."""
    assert without_user("runs/sig=0.1,token=8") == "runs/sig=0.1,token=8"
    assert without_secrets("SignedHeaders=host, Signature=secret") == "SignedHeaders=host, Signature=..."


@pytest.mark.parametrize("suffix", ["/x", "../x", "x\0"])
def test_a_suffix_that_no_name_can_have_is_refused(tmp_path, suffix):
    """Nothing is created first."""
    with pytest.raises(ValueError, match=r"filename_suffix was '.+'; give one without a slash and a NUL"):
        SummaryWriter(tmp_path / "run", filename_suffix=suffix)
    assert list(tmp_path.iterdir()) == []


def test_the_error_for_a_name_that_is_too_long_says_what_to_do(tmp_path):
    """The message has the operating system's words, and tblog's advice."""
    with pytest.raises(OSError, match=r"File name too long\. Give a shorter directory or filename_suffix"):
        SummaryWriter(tmp_path / "run", filename_suffix="x" * 250)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("simplecache::s3://bucket/run", "a chain of URLs"),
        ("zip://run::s3://bucket/runs.zip", "a chain of URLs"),
        ("filecache::memory://run", "a chain of URLs"),
        ("S3://bucket/run", "write s3:// in small letters"),
        ("Memory://run", "write memory:// in small letters"),
        ("s3:/bucket/run", "names no bucket; give s3://BUCKET/PATH"),
        ("file://run", "as a path or as file:///PATH with three slashes"),
        ("FILE:///tmp/run", "write file:// in small letters"),
        ("file://localhost/tmp/run", "as a path or as file:///PATH with three slashes"),
        ("file:/tmp/run", "begins with file://"),
        ("https://host/run", "cannot write to https:// URLs"),
    ],
)
def test_a_url_that_nothing_can_write_to_is_an_error_and_no_local_directory(elsewhere, given, wanted):
    """It says what to give instead."""
    need_package("fsspec")
    elsewhere()
    with pytest.raises(InvalidValueError, match=wanted):
        SummaryWriter(given)


@pytest.mark.parametrize("given", ["runs/s3://bucket", "C://runs", "C:\\runs", "run::1", "~/runs", "a:b"])
def test_a_path_that_is_no_url_is_a_local_directory_to_writers_and_readers(tmp_path, monkeypatch, given):
    """As in both originals, which expand no `~`."""
    monkeypatch.chdir(tmp_path)
    with SummaryWriter(given) as writer:
        writer.add_scalar("x", 1.0, 1)
    (file,) = event_files(tmp_path / given)
    assert tblog.read(f"./{given}").scalars.step.tolist() == [1]
    if not given.startswith("~"):
        assert tblog.read(given).scalars.step.tolist() == [1]
    assert Path(file).exists()


def test_two_colons_in_a_name_of_a_store_are_no_chain():
    """To fsspec they would be."""
    need_package("fsspec")
    with SummaryWriter("memory://bucket/run::1") as writer:
        writer.add_scalar("x", 1.0, 1)
    assert tblog.read("memory://bucket/run::1").scalars.step.tolist() == [1]
