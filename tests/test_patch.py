"""`patch` and `unpatch` in fresh processes, since they depend on which modules are loaded when."""

from __future__ import annotations

import pytest

from tests.processes import run_program, site_packages_without
from tests.reading import event_files, events, points
from tests.slow import slow_but

ORDERS = ["import_framework(); tblog.patch()", "tblog.patch(); import_framework()"]

# A module like a framework's: names bound at import, a derived class, a class stored elsewhere.
FRAMEWORK = """
import sys, types
framework = types.ModuleType("framework")
sys.modules["framework"] = framework
def import_framework():
    exec(
        "from torch.utils.tensorboard import FileWriter, RecordWriter, SummaryWriter\\n"
        "from torch.utils.tensorboard.writer import SummaryWriter as Same\\n"
        "from torch.utils.tensorboard.summary import hparams\\n"
        "import tensorboardX\\n"
        "from tensorboardX import SummaryWriter as Other\\n"
        "class Derived(SummaryWriter):\\n"
        "    def __init__(self, folder):\\n"
        "        super().__init__(folder)\\n"
        "class Logger:\\n"
        "    kind = SummaryWriter\\n",
        vars(framework),
    )
def is_ours(*kinds):
    return [kind.__module__.partition(".")[0] == "tblog" for kind in kinds]
"""


@pytest.fixture(scope="session")
def without_tensorboard(tmp_path_factory):
    """Return site-packages that lack the `tensorboard` package."""
    names = {"tensorboard", "tensorboard_data_server"}
    return site_packages_without(names, tmp_path_factory.mktemp("site-packages"))


def test_patching_loads_neither_torch_nor_tensorboardx_nor_tensorboard(tmp_path):
    """The import of tblog, patch and unpatch load nothing that nobody imported."""
    run_program(
        """
        import sys
        import tblog
        tblog.patch()
        tblog.unpatch()
        assert not {"torch", "tensorboardX", "tensorboard"} & set(sys.modules)
        """,
        tmp_path,
    )


@pytest.mark.parametrize("order", slow_but(ORDERS[:1], ORDERS))
def test_a_framework_gets_tblogs_writers_whatever_is_first(tmp_path, order):
    """Names bound before and after the patch are tblog's, derived and stored classes included."""
    run_program(
        FRAMEWORK
        + f"import tblog\n{order}\n"
        + """
import torch.utils.tensorboard, torch.utils.tensorboard.writer, tensorboardX.writer, tensorboardX.global_writer
f = framework
assert all(is_ours(f.SummaryWriter, f.FileWriter, f.RecordWriter, f.Same, f.Other, f.Derived.__base__))
assert f.Same is f.SummaryWriter is torch.utils.tensorboard.SummaryWriter
assert f.SummaryWriter is torch.utils.tensorboard.writer.SummaryWriter
assert f.Other is tensorboardX.SummaryWriter is tensorboardX.writer.SummaryWriter
assert all(is_ours(tensorboardX.GlobalSummaryWriter, tensorboardX.FileWriter, tensorboardX.RecordWriter))
for name, writer in {"derived": f.Derived("derived"), "kept": f.Logger.kind("kept")}.items():
    assert isinstance(writer, f.SummaryWriter)
    assert isinstance(writer, tblog.SummaryWriter)
    writer.add_scalar("loss", 0.5, 3)
    writer.close()
""",
        tmp_path,
    )
    assert points(tmp_path / "derived") == points(tmp_path / "kept") == {"loss": [(3, 0.5)]}


@pytest.mark.slow
def test_the_two_names_have_two_classes_with_the_flavors_of_their_originals(tmp_path):
    """Frameworks tell the two apart by isinstance, and each names runs and tags as its original does."""
    run_program(
        """
        import tblog
        tblog.patch()
        import torch.utils.tensorboard
        import tensorboardX
        torchs = torch.utils.tensorboard.SummaryWriter("torchs", "", None, 10, 120, ".a")
        others = tensorboardX.SummaryWriter("others", "", None, 10, 120, ".b", True)
        assert not isinstance(torchs, tensorboardX.SummaryWriter)
        assert not isinstance(others, torch.utils.tensorboard.SummaryWriter)
        for writer in (torchs, others):
            writer.add_scalar("a b", 1.0, 0)
            writer.add_scalars("m/n", {"k": 1.0}, 0)
            writer.close()
        """,
        tmp_path,
    )
    runs = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("*tfevents*")}
    assert runs == {"torchs", "torchs/m_n_k", "others", "others/m/n/k"}
    assert points(tmp_path / "torchs") == {"a b": [(0, 1.0)]}
    assert points(tmp_path / "others") == {"a_b": [(0, 1.0)]}
    assert event_files(tmp_path / "torchs")[0].suffix == ".a"


@pytest.mark.parametrize("order", slow_but(ORDERS[:1], ORDERS))
def test_unpatch_restores_every_name(tmp_path, order):
    """After unpatch no module holds anything of tblog's, and the originals work as before."""
    run_program(
        FRAMEWORK
        + f"import sys, tblog\n{order}\ntblog.patch()\ntblog.unpatch()\n"
        + """
assert not any(is_ours(*map(type, sys.meta_path)))
import torch.utils.tensorboard.summary, tensorboardX.global_writer
stand_ins = {kind for kinds in sys.modules["tblog._patching.stand_ins"].CLASSES.values() for kind in kinds.values()}
for name, module in list(sys.modules.items()):
    if not name.startswith("tblog"):
        left = [key for key, value in list(vars(module).items()) if isinstance(value, type) and value in stand_ins]
        assert not left, (name, left)
f = framework
assert not any(is_ours(f.SummaryWriter, f.FileWriter, f.RecordWriter, f.Other, f.Derived.__base__))
assert f.SummaryWriter is torch.utils.tensorboard.writer.SummaryWriter
for kind in (f.SummaryWriter, f.Derived):
    writer = kind("run")
    assert type(writer) is kind and type(writer.file_writer) is f.FileWriter
    writer.add_scalar("loss", 0.5, 3)
    writer.close()
tblog.unpatch()
""",
        tmp_path,
    )
    assert points(tmp_path / "run") == {"loss": [(3, 0.5), (3, 0.5)]}


@pytest.mark.slow
def test_patch_can_be_had_again_after_unpatch(tmp_path):
    """Patch and unpatch can alternate any number of times; one unpatch undoes several patches."""
    run_program(
        FRAMEWORK
        + """
import tblog
import_framework()
for _ in range(3):
    tblog.patch()
    tblog.patch()
    assert all(is_ours(framework.SummaryWriter, framework.Other))
    tblog.unpatch()
    assert not any(is_ours(framework.SummaryWriter, framework.Other))
""",
        tmp_path,
    )


def test_open_writers_of_the_originals_go_on(tmp_path):
    """A writer that was open at the patch keeps its class, and so does a derived class with an open writer."""
    run_program(
        FRAMEWORK
        + """
import tblog
import_framework()
writers = [framework.SummaryWriter("plain"), framework.Derived("derived")]
tblog.patch()
for writer in writers:
    assert not any(is_ours(type(writer).__mro__[-2]))
    writer.add_scalar("loss", 0.5, 3)
    writer.close()
""",
        tmp_path,
    )
    assert points(tmp_path / "plain") == points(tmp_path / "derived") == {"loss": [(3, 0.5)]}


# A program's classes: a derived one, one derived from that, one of two bases, and one that names its base.
FAMILY = """
import sys
import tblog
from torch.utils.tensorboard import SummaryWriter
import tensorboardX
class Base(SummaryWriter):
    pass
class Mine(Base):
    pass
class Mixin:
    pass
class Mixed(Mixin, Base, SummaryWriter):
    pass
class Naming(SummaryWriter):
    def __init__(self, folder):
        SummaryWriter.__init__(self, folder)
    def add_scalar(self, *args):
        SummaryWriter.add_scalar(self, *args)
class Both(tensorboardX.SummaryWriter):
    pass
class Child(Both):
    pass
KINDS = [Base, Mine, Mixed, Naming, Both, Child]
def log(writers):
    for writer in writers:
        writer.add_scalar("loss", 0.5, 3)
        writer.add_scalars("a/b", {"k": 1.0}, 3)
        writer.flush()
def is_ours(kind):
    return issubclass(kind, tblog.SummaryWriter)
"""


@pytest.mark.slow
def test_a_writer_of_any_class_goes_on_through_patch_and_unpatch(tmp_path):
    """Made before, during or after the patch, used in every later state, and derived over any number of classes."""
    run_program(
        FAMILY
        + """
import gc
for number, chosen in enumerate([[Mine], [Mixed, Naming], [Base, Child]]):
    kept = []
    for state in (lambda: None, tblog.patch, tblog.unpatch, tblog.patch, tblog.unpatch):
        state()
        kept += [kind(f"{number}/{len(kept)}-{kind.__name__}") for kind in chosen]
        log(kept)
    for writer in kept:
        writer.close()
    del kept, writer
    gc.collect()
    tblog.patch()
    tblog.unpatch()
""",
        tmp_path,
    )
    runs = list(tmp_path.glob("*/*-*"))
    assert len(runs) == 5 * (1 + 2 + 2)
    for run in runs:
        assert set(points(run)["loss"]) == {(3, 0.5)}


@pytest.mark.slow
def test_classes_without_a_living_writer_follow_the_patch_and_those_with_one_when_it_is_gone(tmp_path):
    """A class stays unchanged only while a change would break a writer of it, or of a class derived from it."""
    run_program(
        FAMILY
        + """
before = Mine("before")
tblog.patch()
assert not is_ours(Base) and not is_ours(Mine) and is_ours(Naming) and is_ours(Child)
assert not is_ours(Mixed)  # it derives from a class that is left alone
before.close()
del before
tblog.unpatch()
assert not any(map(is_ours, KINDS))
tblog.patch()
assert all(map(is_ours, KINDS))
under = Mine("under")
tblog.unpatch()
assert is_ours(Mine) and is_ours(Base) and not is_ours(Naming) and not is_ours(Child)
under.close()
del under
tblog.patch()
tblog.unpatch()
assert not any(map(is_ours, KINDS))
""",
        tmp_path,
    )


@pytest.mark.slow
def test_a_class_that_cannot_change_keeps_its_base_and_the_others_follow(tmp_path):
    """A metaclass may refuse with any error, and objects in such a class may raise when they are read."""
    run_program(
        """
        import tblog
        from torch.utils.tensorboard import SummaryWriter

        class Frozen(type):
            def __setattr__(cls, name, value):
                raise RuntimeError(f"{cls.__name__} is frozen")

        class Odd:
            def __getattr__(self, name):
                raise RuntimeError("odd")

        class Fixed(SummaryWriter, metaclass=Frozen):
            odd = Odd()

        class Plain(SummaryWriter):
            pass

        def is_ours(kind):
            return issubclass(kind, tblog.SummaryWriter)

        for _ in range(2):
            tblog.patch()
            assert is_ours(Plain) and is_ours(SummaryWriter) and not is_ours(Fixed)
            writer = Fixed("fixed")
            writer.add_scalar("loss", 0.5, 3)
            writer.close()
            del writer
            tblog.unpatch()
            assert not any(map(is_ours, (Plain, SummaryWriter, Fixed)))
        """,
        tmp_path,
    )
    assert set(points(tmp_path / "fixed")["loss"]) == {(3, 0.5)}


@pytest.mark.slow
def test_unpatch_restores_every_name_after_a_reload(tmp_path):
    """A package that was reloaded under the patch gets its own names back."""
    run_program(
        """
        import importlib
        import tblog
        import torch.utils.tensorboard, tensorboardX
        packages = (torch.utils.tensorboard, tensorboardX)
        names = ("SummaryWriter", "FileWriter", "RecordWriter", "GlobalSummaryWriter")
        before = [[getattr(package, name, None) for name in names] for package in packages]
        for _ in range(2):
            tblog.patch()
            for package in packages:
                importlib.reload(package)
                importlib.reload(package)
                assert issubclass(package.SummaryWriter, tblog.SummaryWriter)
                assert issubclass(package.RecordWriter, tblog.RecordWriter)
            tblog.unpatch()
            assert [[getattr(package, name, None) for name in names] for package in packages] == before
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_a_pickled_writer_of_a_derived_class_says_that_it_needs_the_patch(tmp_path):
    """If the class has another base, one early error is better than one at each call."""
    run_program(
        FAMILY
        + """
import copy, pickle
tblog.patch()
with Mine("run") as writer:
    writer.add_scalar("loss", 0.5, 3)
pickled = pickle.dumps(writer)
for again in (pickle.loads(pickled), copy.copy(writer), copy.deepcopy(writer)):
    assert type(again) is Mine
    log([again])
    again.close()
del writer, again
tblog.unpatch()
try:
    pickle.loads(pickled)
except TypeError as error:
    assert "tblog.patch()" in str(error) and "Mine" in str(error)
else:
    raise AssertionError
""",
        tmp_path,
    )
    assert len(points(tmp_path / "run")["loss"]) == 4


WITHOUT = """
import tblog
tblog.patch()
import_framework()
from torch.utils import tensorboard
from torch.utils.tensorboard.writer import FileWriter
f = framework
assert all(is_ours(f.SummaryWriter, f.FileWriter, f.RecordWriter, f.Other))
for module in (tensorboard, tensorboard.writer, tensorboard.summary):
    assert module.__file__ and module.__spec__.name == module.__name__
with f.Derived("run") as writer:
    writer.add_scalar("loss", 0.5, 3)
    for message in f.hparams({"lr": 0.1, "fast": True}, {"loss": 0}, {"lr": [0.1, 0.2]}):
        writer._get_file_writer().add_summary(message)
for name in ("tensorboard.compat", "torch.utils.tensorboard._pytorch_graph"):
    try:
        __import__(name)
    except ModuleNotFoundError as error:
        print(error.name.partition(".")[0])
tblog.unpatch()
assert not {"torch.utils.tensorboard", "torch.utils.tensorboard.writer"} & set(sys.modules)
try:
    import torch.utils.tensorboard
except ModuleNotFoundError:
    print("as before")
"""


def check_run_without(printed, folder):
    """Assert the results of the program WITHOUT."""
    assert printed.splitlines() == ["tensorboard", "tensorboard", "as before"]
    assert points(folder) == {"loss": [(3, 0.5)]}
    tags = [value.tag for event in events(event_files(folder)[0]) for value in event.summary.value]
    assert tags[1:] == [
        f"_hparams_/{part}" for part in ("experiment", "session_start_info", "session_end_info")
    ]


def test_torchs_writer_can_be_imported_where_tensorboard_is_not_installed(tmp_path, without_tensorboard):
    """Modules with tblog's classes stand in for torch's; what is truly missing is a ModuleNotFoundError."""
    check = "import importlib.util\nassert importlib.util.find_spec('tensorboard') is None\n"
    printed = run_program(check + FRAMEWORK + WITHOUT, tmp_path, packages=without_tensorboard)
    check_run_without(printed, tmp_path / "run")


@pytest.mark.slow
def test_torchs_writer_can_be_imported_where_the_import_of_tensorboard_fails(tmp_path):
    """A tensorboard package that raises on import counts as missing."""
    block = "import sys\nsys.modules['tensorboard'] = None\n"
    check_run_without(run_program(block + FRAMEWORK + WITHOUT, tmp_path), tmp_path / "run")


@pytest.mark.slow
def test_a_failed_import_before_the_patch_does_no_harm(tmp_path, without_tensorboard):
    """A program that failed to import torch's writer before the patch finds it afterwards."""
    run_program(
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError:
            import tblog
            tblog.patch()
            from torch.utils.tensorboard import SummaryWriter
        assert issubclass(SummaryWriter, tblog.SummaryWriter)
        """,
        tmp_path,
        packages=without_tensorboard,
    )


@pytest.mark.slow
def test_a_package_that_is_found_but_not_run_is_not_changed_by_the_hook(tmp_path):
    """`find_spec` answers as without the patch, and the loaded module has its own loader."""
    run_program(
        """
        import importlib.util
        import tblog
        tblog.patch()
        spec = importlib.util.find_spec("tensorboardX")
        assert spec.origin.endswith("__init__.py")
        import tensorboardX
        assert type(tensorboardX.__spec__.loader) is type(importlib.util.find_spec("json").loader)
        assert tensorboardX.__loader__ is tensorboardX.__spec__.loader
        assert importlib.util.find_spec("no_such_package") is None
        """,
        tmp_path,
    )


@pytest.mark.slow
def test_threads_may_patch_and_import_at_once(tmp_path):
    """No order of imports, patches and threads causes a deadlock or leaves a name behind."""
    run_program(
        FRAMEWORK
        + """
import threading
import tblog
threads = [threading.Thread(target=target) for target in (tblog.patch, import_framework, tblog.patch)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert all(is_ours(framework.SummaryWriter, framework.Other))
""",
        tmp_path,
    )


def test_patch_is_a_function_however_tblog_is_imported(tmp_path):
    """The module `tblog.patch` does not hide the function of the same name."""
    run_program(
        """
        import tblog.patch
        from tblog.patch import unpatch
        import tblog._patching.stand_ins
        tblog.patch()
        tblog.unpatch()
        unpatch()
        """,
        tmp_path,
    )


def test_a_process_that_patched_and_forgot_to_close_ends_and_keeps_all(tmp_path):
    """The exit writes what is waiting, for either name."""
    run_program(
        """
        import tblog
        tblog.patch()
        from torch.utils.tensorboard import SummaryWriter
        from tensorboardX import SummaryWriter as Other
        writers = [SummaryWriter("a"), Other("b")]
        for step in range(1000):
            for writer in writers:
                writer.add_scalar("loss", step, step)
        """,
        tmp_path,
        timeout=60,
    )
    assert len(points(tmp_path / "a")["loss"]) == len(points(tmp_path / "b")["loss"]) == 1000
