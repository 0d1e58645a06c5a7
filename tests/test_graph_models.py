"""Common models: wrapped, compiled, scripted, quantised, recurrent, shared, dynamic, lazy."""

from __future__ import annotations

import copy
import logging

import pytest
import torch
from torch import nn

from tblog.graph import GraphError, read_graph
from tests import graph_models
from tests.graph_checks import assert_shows_what_ran, assert_sound

X = torch.ones(2, 4)
DEPRECATED = pytest.mark.filterwarnings("ignore:.*torch.jit.*:FutureWarning")
PLAIN = ["input/input", "Sequential/0 (Linear)/linear", "Sequential/1 (ReLU)/relu", "output/output"]


def plain():
    """Return a model whose graph is `PLAIN`."""
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU())


def names(graph):
    """Return the names of the nodes of a sound graph."""
    assert_sound(graph)
    return [node.name for node in graph.nodes]


def compiled_in_place():
    """Return a model that was compiled by its own method."""
    model = plain()
    model.compile(backend="eager")
    return model


@pytest.mark.parametrize("source", [None, "export", "trace", "hooks"])
@pytest.mark.parametrize(
    "wrapped",
    [
        lambda: nn.DataParallel(plain()),
        lambda: torch.compile(plain(), backend="eager"),
        lambda: nn.DataParallel(torch.compile(plain(), backend="eager")),
        compiled_in_place,
    ],
)
def test_wrappers_are_taken_off(wrapped, source):
    """A data-parallel or compiled model has the graph of the inner model."""
    assert names(read_graph(wrapped(), X, source=source)) == PLAIN


@pytest.mark.usefixtures("process_group")
def test_distributed_wrappers_are_taken_off():
    """This includes DistributedDataParallel."""
    assert names(read_graph(nn.parallel.DistributedDataParallel(plain()), X)) == PLAIN


@pytest.mark.parametrize("source", ["export", "trace", "hooks"])
def test_wrappers_inside_a_model_are_taken_off(source):
    """Wrapped submodules appear under their own names, and stay wrapped afterwards."""
    model = nn.Sequential(nn.DataParallel(nn.Linear(4, 4)), torch.compile(nn.ReLU(), backend="eager"))
    before = list(model)
    assert names(read_graph(model, X, source=source)) == PLAIN
    assert list(model) == before


@DEPRECATED
@pytest.mark.parametrize("inputs", [(), None, X, (X,)])
def test_a_scripted_module_is_read_with_and_without_inputs(inputs):
    """Frameworks pass an empty tuple as input; a TorchScript module can be read without a run."""
    graph = read_graph(torch.jit.script(plain()), inputs)
    assert graph.source == "trace"
    assert graph.reasons == []
    assert names(graph) == PLAIN


@DEPRECATED
def test_a_scripted_module_keeps_its_mode_and_shows_that_of_evaluation():
    """It is read in evaluation mode, so its batch statistics stay, and it is in training mode afterwards."""
    model = torch.jit.script(nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)))
    graph = read_graph(model, ())
    assert names(graph) == [
        "input/input",
        "Sequential/0 (Conv2d)/conv2d",
        "Sequential/1 (BatchNorm2d)/batch_norm",
        "output/output",
    ]
    assert model.training
    assert sum(node.attributes.get("parameters", 0) for node in graph.nodes) == 10


@DEPRECATED
def test_a_scripted_function_is_read():
    """Its branches and loops are operations, with their contents."""

    @torch.jit.script
    def scale(x: torch.Tensor, times: int):
        for _ in range(times):
            x = x * 2
        return x + 1

    graph = read_graph(scale, ())
    assert [(node.name, node.op, node.inputs) for node in graph.nodes] == [
        ("input/x", "input", []),
        ("input/times", "input", []),
        ("ScriptFunction/mul", "aten::mul", ["input/x"]),
        ("ScriptFunction/Loop", "prim::Loop", ["input/times", "input/x", "ScriptFunction/mul"]),
        ("ScriptFunction/add", "aten::add", ["ScriptFunction/Loop"]),
        ("output/output", "output", ["ScriptFunction/add"]),
    ]


@DEPRECATED
def test_a_traced_module_and_one_that_holds_a_scripted_one_are_read():
    """Traced modules keep their shapes; the contents of a scripted part are shown."""
    traced = read_graph(torch.jit.trace(plain(), X), ())
    assert (
        names(traced) == [name.replace("input/input", "input/input_1") for name in PLAIN]
        or names(traced) == PLAIN
    )
    assert all(node.outputs[0].shape == (2, 4) for node in traced.nodes if node.op.startswith("aten"))
    mixed = read_graph(nn.Sequential(nn.Linear(4, 4), torch.jit.script(nn.ReLU())), X)
    assert mixed.source == "trace"
    assert names(mixed) == PLAIN


@pytest.mark.parametrize("source", ["export", "trace", "hooks"])
@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (nn.LSTM(4, 8, num_layers=2, bidirectional=True), torch.ones(5, 2, 4)),
        (nn.GRU(4, 8, batch_first=True), (torch.ones(2, 5, 4), torch.zeros(1, 2, 8))),
        (nn.RNN(4, 8), torch.ones(5, 2, 4)),
        (graph_models.Loop(), torch.ones(3, 2, 4)),
    ],
)
def test_recurrent_networks_are_read(model, inputs, source):
    """States are outputs, and each call of a cell has its own scope."""
    graph = read_graph(model, inputs, source=source)
    assert_sound(graph)
    assert_shows_what_ran(graph, model, *(inputs if isinstance(inputs, tuple) else (inputs,)))
    if isinstance(model, graph_models.Loop):
        cells = {name.rpartition("/")[0] for name in names(graph) if "LSTMCell" in name}
        assert cells == {"Loop/cell (LSTMCell)", "Loop/cell #2 (LSTMCell)", "Loop/cell #3 (LSTMCell)"}


@pytest.mark.parametrize("source", ["export", "hooks"])
def test_a_module_under_two_names_and_a_parameter_in_two_modules_are_counted_once(source):
    """At its second reader, the parameter is marked as shared."""
    shared = nn.Linear(4, 4)
    model = nn.Sequential(shared, nn.Sequential(shared), nn.Linear(4, 4, bias=False))
    model[2].weight = shared.weight
    graph = read_graph(model, X, source=source)
    assert [node.attributes["weight"] for node in graph.nodes if "weight" in node.attributes] == [
        "float32 [4, 4]",
        "float32 [4, 4] shared",
        "float32 [4, 4] shared",
    ]
    assert sum(node.attributes.get("parameters", 0) for node in graph.nodes) == 20


def test_what_depends_on_data_falls_to_hooks_and_says_why(caplog):
    """One log line reports each failed way, and the graph keeps the reasons."""
    with caplog.at_level(logging.WARNING, logger="tblog"):
        graph = read_graph(graph_models.Dynamic(), X)
    assert graph.source == "hooks"
    assert [reason.partition(":")[0] for reason in graph.reasons] == ["export", "trace"]
    assert "graph_models.py" in graph.reasons[1]
    assert len(caplog.records) == 2
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert [name for name in names(graph) if name.endswith("linear")] == [
        f"Dynamic/{call} (Linear)/linear" for call in ("a", "b", "b #2")
    ]


def test_nothing_but_these_lines_is_printed(capfd):
    """The exporter's own reports of failures are not printed."""
    read_graph(graph_models.Dynamic(), X)
    with pytest.raises(GraphError):
        read_graph(nn.Linear(4, 4), torch.ones(2, 5))
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "def forward" not in printed.err
    assert "Traceback" not in printed.err


def test_a_model_that_cannot_run_is_refused_with_all_reasons(caplog):
    """The error gives each way's reason once, in one line, with the last way's error as its cause."""

    class Broken(nn.Module):
        def forward(self, x):
            raise KeyError(f"gone\nwith {x.shape}")

    with (
        caplog.at_level(logging.WARNING, logger="tblog"),
        pytest.raises(GraphError, match=r"\(export, trace, hooks: KeyError: [^;]*gone[^;]*\)") as raised,
    ):
        read_graph(Broken(), X)
    assert isinstance(raised.value.__cause__, KeyError)
    assert "\n" not in str(raised.value)
    assert not caplog.records


def test_an_error_that_a_model_catches_leaves_the_scopes_in_place():
    """Operations after a failed module are in the right scope."""

    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError(x.shape)

    class Catches(nn.Module):
        def __init__(self):
            super().__init__()
            self.fails, self.fc = Fails(), nn.Linear(4, 4)

        def forward(self, x):
            try:
                return self.fails(x)
            except ValueError:
                return self.fc(x).relu()

    assert names(read_graph(Catches(), X, source="hooks"))[1:3] == [
        "Catches/fc (Linear)/linear",
        "Catches/relu",
    ]


@pytest.mark.filterwarnings("ignore")
def test_quantised_models_are_read():
    """Dynamically and statically quantised layers appear with the dtypes between them."""
    dynamic = torch.ao.quantization.quantize_dynamic(plain(), {nn.Linear})
    assert names(read_graph(dynamic, X)) == [name.replace("/linear", "/linear_dynamic") for name in PLAIN]
    model = nn.Sequential(torch.ao.quantization.QuantStub(), *plain(), torch.ao.quantization.DeQuantStub())
    model.qconfig = torch.ao.quantization.get_default_qconfig("x86")
    prepared = torch.ao.quantization.prepare(model.eval())
    prepared(X)
    graph = read_graph(torch.ao.quantization.convert(prepared), X)
    assert_sound(graph)
    assert [node.outputs[0].dtype for node in graph.nodes] == [
        "float32",
        "quint8",
        "quint8",
        "quint8",
        "float32",
        "float32",
    ]


@pytest.mark.filterwarnings("ignore")
def test_observers_of_a_model_in_quantisation_training_are_not_fed():
    """Reading the graph does not change the ranges of fake quantisation."""
    model = nn.Sequential(torch.ao.quantization.QuantStub(), *plain())
    model.qconfig = torch.ao.quantization.get_default_qat_qconfig("x86")
    prepared = torch.ao.quantization.prepare_qat(model.train())
    prepared(X)
    before = copy.deepcopy(prepared.state_dict())
    for source in ("export", "hooks"):
        assert_sound(read_graph(prepared, X * 100, source=source))
    after = prepared.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


@pytest.mark.parametrize("layout", ["to_sparse", "to_sparse_csr"])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_sparse_inputs_and_parameters_are_read(layout):
    """A sparse tensor is an input, or a parameter, like any other."""

    class Sparse(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(getattr(torch.eye(4), layout)(), requires_grad=False)

        def forward(self, x):
            return torch.sparse.mm(x, torch.sparse.mm(self.weight, torch.ones(4, 4)))

    graph = read_graph(Sparse(), getattr(torch.eye(4), layout)())
    assert_sound(graph)
    assert sum(node.attributes.get("parameters", 0) for node in graph.nodes) == 16


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.filterwarnings("ignore:.*spectral_norm")
@pytest.mark.parametrize("source", ["export", "hooks"])
def test_weights_that_are_computed_before_each_run_are_computed_in_the_graph(source):
    """Weight norm, old and new, and spectral norm: their hooks run, because forward needs them."""
    model = nn.Sequential(
        nn.utils.weight_norm(nn.Linear(4, 4)),
        nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)),
        nn.utils.spectral_norm(nn.Linear(4, 4)),
    )
    graph = read_graph(model, X, source=source)
    assert_sound(graph)
    assert sum(node.attributes.get("parameters", 0) for node in graph.nodes) == sum(
        parameter.numel() for parameter in model.parameters()
    )


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_modules_are_read_and_stay_lazy():
    """The graph has the shapes of the first run, and the model is still uninitialised."""
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    graph = read_graph(model, X)
    assert [node.outputs[0].shape for node in graph.nodes] == [(2, 4), (2, 3), (2, 3), (2, 3)]
    assert [type(layer) for layer in model] == [nn.LazyLinear, nn.LazyBatchNorm1d]
    assert all(nn.parameter.is_lazy(parameter) for parameter in model.parameters())


def test_forces_that_are_gradients_fall_to_hooks():
    """A forward that computes gradients runs as usual."""

    class Forces(nn.Module):
        def __init__(self):
            super().__init__()
            self.energy = nn.Linear(4, 1)

        def forward(self, positions):
            positions = positions.detach().requires_grad_()
            return -torch.autograd.grad(self.energy(positions).sum(), positions)[0]

    graph = read_graph(Forces(), X)
    assert_sound(graph)
    assert "Forces/energy (Linear)/linear" in names(graph)


def test_a_function_and_an_fx_module_are_read():
    """A function of tensors has a graph, and so has a `torch.fx` module."""

    def gelu_twice(x):
        return nn.functional.gelu(nn.functional.gelu(x))

    assert names(read_graph(gelu_twice, X))[1:3] == ["gelu_twice/gelu", "gelu_twice/gelu_1"]
    assert_sound(read_graph(torch.fx.symbolic_trace(plain()), X))
    assert_sound(read_graph(torch.export.export(plain(), (X,)), X))


def test_a_method_of_a_module_is_read_with_the_modules_that_it_calls():
    """Methods other than forward can be read, too."""

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def encode(self, x):
            return self.fc(x).relu()

    for source in ("export", "hooks"):
        graph = read_graph(Encoder().encode, X, source=source)
        assert names(graph) == [
            "input/x",
            "encode/owner (Encoder)/fc (Linear)/linear",
            "encode/relu",
            "output/output",
        ]


def test_memory_efficient_attention_shows_its_parts():
    """In evaluation, torch fuses a transformer layer into one operation; the graph shows its layers instead."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    for source in ("export", "trace", "hooks"):
        graph = read_graph(model, torch.ones(2, 3, 8), source=source)
        assert_sound(graph)
        inner = "TransformerEncoder/layers (ModuleList)/1 (TransformerEncoderLayer)/linear2 (Linear)/linear"
        assert inner in names(graph)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_dtypes_are_those_that_flow(dtype):
    """Each node has the dtype of its output."""
    graph = read_graph(nn.Linear(4, 4, dtype=dtype), X.to(dtype))
    assert {node.outputs[0].dtype for node in graph.nodes} == {str(dtype).removeprefix("torch.")}


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("source", ["export", "trace", "hooks"])
def test_a_model_on_a_gpu_is_read_where_it_is(source):
    """The graph shows devices; the GPU's random state stays, and nothing is moved."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.ReLU()).cuda()
    state = torch.cuda.get_rng_state()
    graph = read_graph(model, X.cuda(), source=source)
    assert_sound(graph)
    assert {node.outputs[0].device for node in graph.nodes} == {"cuda:0"}
    assert torch.equal(torch.cuda.get_rng_state(), state)
    assert {parameter.device.type for parameter in model.parameters()} == {"cuda"}


def test_a_forward_that_asks_for_its_own_graph_gets_an_error_and_is_read():
    """The inner call raises instead of recursing; a model that catches the error has a graph."""
    refused = []

    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4)

        def forward(self, x):
            with pytest.raises(
                GraphError, match=r"cannot be read from within a model.*outside of forward"
            ) as raised:
                read_graph(self, x)
            refused.append(raised)
            return self.fc(x)

    for source in ("export", "trace", "hooks"):
        assert names(read_graph(Asks(), X, source=source)) == [
            "input/x",
            "Asks/fc (Linear)/linear",
            "output/output",
        ]
    assert len(refused) == 3


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_nested_tensors_have_edges_of_unknown_shape_or_size(layout):
    """Edges without a shape are drawn without one."""
    ragged = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], layout=layout)
    graph = read_graph(nn.Linear(4, 4), ragged)
    assert names(graph)[0] == "input/input"
    shape = graph.nodes[0].outputs[0].shape
    assert shape is None or shape[1] == -1
