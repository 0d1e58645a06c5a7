"""Calls inside a compiled function log each time, and are not compiled themselves."""

from __future__ import annotations

import pytest
import torch
import torch._dynamo
from torch._dynamo.utils import counters

from tblog import SummaryWriter
from tests.processes import run_program
from tests.reading import points


@pytest.fixture(autouse=True)
def fresh_compiler():
    """Start with nothing compiled, and leave nothing compiled."""
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    counters.clear()


def test_calls_in_a_compiled_function_log_each_time_what_was_computed(tmp_path):
    """Numbers, tensors, dicts and arrays, also when the compiled code runs again."""
    with SummaryWriter(tmp_path) as writer:

        @torch.compile(backend="eager")
        def step(x, number):
            y = torch.tanh(x) * 2
            writer.add_scalar("sum", y.sum(), number)
            writer.add_scalar("constant", 0.5, number)
            writer.add_histogram("y", y, number)
            writer.add_scalar_dict({"first": y[0], "twice": number * 2.0}, number)
            return y + 1

        results = [step(torch.full((4,), float(number)), number) for number in range(5)]
    logged = points(tmp_path)
    first = [(number, pytest.approx(float(y[0]) - 1)) for number, y in enumerate(results)]
    assert logged["first"] == first
    assert logged["sum"] == [(number, pytest.approx(4 * y.expected, abs=1e-5)) for number, y in first]
    assert logged["constant"] == [(number, 0.5) for number in range(5)]
    assert logged["twice"] == [(number, number * 2.0) for number in range(5)]


def test_nothing_within_a_call_is_compiled(tmp_path):
    """Each call breaks the graph once, and only the function's own frames are compiled."""
    with SummaryWriter(tmp_path) as writer:

        @torch.compile(backend="eager")
        def step(x, number):
            y = x * 2
            writer.add_scalar("y", y.sum(), number)
            z = y + 1
            writer.add_histogram("z", z, number)
            return z

        step(torch.ones(4), 0)
    assert counters["frames"]["total"] == 3  # the function, and the code after each of its two breaks


def test_methods_that_a_users_class_brings_are_still_compiled(tmp_path):
    """A module that is also a writer is compiled, and so are all other modules."""

    class Both(SummaryWriter, torch.nn.Sequential):
        def __init__(self, logdir):
            torch.nn.Sequential.__init__(self, torch.nn.Linear(2, 2))
            SummaryWriter.__init__(self, logdir)

        def twice(self, x):
            return x * 2

    with Both(tmp_path) as both:
        for method in (Both.twice, torch.nn.Module.to, torch.nn.Sequential.forward):
            assert not getattr(method, "_torchdynamo_disable", False)
        compiled = torch.compile(both.twice, backend="eager", fullgraph=True)
        assert compiled(torch.ones(2)).tolist() == [2.0, 2.0]
        both.add_scalar("x", 1.0, 0)
    assert points(tmp_path) == {"x": [(0, 1.0)]}


def test_a_graph_that_must_be_whole_says_that_a_call_breaks_it(tmp_path):
    """The compiler refuses `fullgraph=True` with an error that names tblog; logging goes on."""
    with SummaryWriter(tmp_path) as writer:

        @torch.compile(backend="eager", fullgraph=True)
        def step(x):
            writer.add_scalar("x", x.sum(), 0)
            return x

        with pytest.raises(torch._dynamo.exc.Unsupported, match="tblog's writer"):
            step(torch.ones(4))
        writer.add_scalar("x", 1.0, 0)
    assert points(tmp_path) == {"x": [(0, 1.0)]}


def test_a_writer_that_is_made_while_a_thread_imports_torch_leaves_torch_alone(tmp_path):
    """The thread may be tblog's own, for tensorboardX. Two threads that import parts of one package wait for each other."""
    code = """
        import sys, threading
        from tblog import SummaryWriter

        def hook(event, args):
            if event == "import" and args[0] == "torch._C" and threading.current_thread() is importing:
                imports.set()
                made.wait(60)

        imports, made = threading.Event(), threading.Event()
        sys.addaudithook(hook)
        importing = threading.Thread(target=__import__, args=["torch"])
        importing.start()
        assert imports.wait(60)
        threading.Timer(2.0, made.set).start()
        with SummaryWriter(sys.argv[1]) as writer:
            was_made_before = not made.is_set()
            made.set()
            importing.join()
            writer.add_scalar("x", sys.modules["torch"].ones(()), 0)
        print(was_made_before, writer.stats.written)
    """
    assert run_program(code, None, tmp_path) == "True 1\n"
