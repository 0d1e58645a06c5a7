"""Tests of adapters/parameters.py: figures against hand-made ones, steps of every kind, and removed hooks.

test_adapters_layer_report.py tests what is made of the figures.
"""

import copy
import gc
import io
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import _global_optimizer_post_hooks as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

import tblog
from tblog._values.arrays import to_numpy
from tblog.adapters.cam import class_activation_maps
from tblog.adapters.parameters import ParameterWatch
from tblog.errors import InvalidTypeError, InvalidValueError
from tblog.records import HistogramRecord, ScalarRecord
from tests.processes import run_program
from tests.reading import accumulator, points
from tests.untouched import untouched

torch.set_num_threads(1)


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))


def _batch(seed=1):
    return torch.randn(8, 4, generator=torch.Generator().manual_seed(seed))


def _loss(model, batch):
    return model(batch).square().sum()


def _scalars(records):
    return {record.tag: float(record.value) for record in records if isinstance(record, ScalarRecord)}


def _histograms(records):
    return {record.tag: to_numpy(record.values) for record in records if isinstance(record, HistogramRecord)}


def _train(model, watch, optimizer, steps=1):
    """Train with one backward pass in each step; return the result of `records` at each step."""
    given = []
    for step in range(steps):
        _loss(model, _batch(step)).backward()
        optimizer.step()
        optimizer.zero_grad()
        given.append(watch.records())
    return given


def _norm(tensors):
    """Return the joint norm of all tensors."""
    return torch.cat([tensor.detach().ravel() for tensor in tensors]).norm().item()


def _sgd(model, rate=0.01):
    return torch.optim.SGD(model.parameters(), lr=rate)


def test_figures_are_those_made_by_hand():
    """Norms, update ratios, gradients and activations of a step agree with plain formulas."""
    model, batch = _network(), _batch(0)
    before = copy.deepcopy(model)
    _loss(before, batch).backward()
    with ParameterWatch(model, every=1) as watch:
        (records,) = _train(model, watch, _sgd(model))
    scalars, histograms = _scalars(records), _histograms(records)

    def together(parts):
        return torch.cat([part.detach().ravel() for part in parts])

    for layer in ("0", "2"):
        old, new = before.get_submodule(layer), model.get_submodule(layer)
        gradient = together(each.grad for each in old.parameters())
        was, has = together(old.parameters()), together(new.parameters())
        assert scalars[f"watch_parameter_norm/{layer}"] == pytest.approx(has.norm().item())
        assert scalars[f"watch_gradient_norm/{layer}"] == pytest.approx(gradient.norm().item())
        ratio = (0.01 * gradient.norm() / was.norm()).item()
        assert scalars[f"watch_update_ratio/{layer}"] == pytest.approx(ratio, rel=1e-4)
    for name, old in before.named_parameters():
        np.testing.assert_allclose(
            histograms[f"watch_parameters/{name}"], model.get_parameter(name).detach().ravel()
        )
        np.testing.assert_allclose(histograms[f"watch_gradients/{name}"], old.grad.ravel())
    gradient = together(each.grad for each in before.parameters())
    assert scalars["watch/gradient_norm"] == pytest.approx(gradient.norm().item())
    assert scalars["watch/parameter_norm"] == pytest.approx(together(model.parameters()).norm().item())
    assert scalars["watch/update_ratio"] == pytest.approx(
        (0.01 * gradient.norm() / together(before.parameters()).norm()).item(), rel=1e-4
    )
    hidden = before[1](before[0](batch)).detach()
    assert scalars["watch_activation_norm/1"] == pytest.approx(hidden.norm().item())
    assert scalars["watch_dead_activations/1"] == pytest.approx((hidden == 0).all(0).float().mean().item())
    np.testing.assert_allclose(histograms["watch_activations/1"], hidden.ravel())
    assert {tag: value for tag, value in scalars.items() if "nonfinite" in tag} == {
        f"watch_nonfinite_{kind}/{name}": 0
        for kind, names in {"parameters": "02", "gradients": "02", "activations": "012"}.items()
        for name in names
    }


def test_every_nth_step_is_watched_beginning_with_the_first():
    """With every=3, the first, fourth and seventh of seven steps give records."""
    model = _network()
    with ParameterWatch(model, every=3) as watch:
        given = _train(model, watch, _sgd(model), steps=7)
    assert [bool(records) for records in given] == [True, False, False, True, False, False, True]


def test_records_may_be_fetched_whenever_it_suits():
    """The last watched step's records wait until they are fetched, once, even after the block."""
    model = _network()
    optimizer = _sgd(model)
    with ParameterWatch(model, every=2) as watch:
        for step in range(5):
            _loss(model, _batch(step)).backward()
            optimizer.step()
            optimizer.zero_grad()
    assert _scalars(watch.records())["watch_parameter_norm/0"] == pytest.approx(_norm(model[0].parameters()))
    assert watch.records() == []


def test_backward_passes_that_accumulate_are_one_step():
    """The gradient is the sum of the passes, activations are the last pass's, and an optimizer step is one step."""
    model, passes = _network(), [_batch(seed) for seed in range(3)]
    twin = copy.deepcopy(model)
    _loss(twin, torch.cat(passes)).backward()
    optimizer, given = _sgd(model), []
    with ParameterWatch(model, every=2) as watch:
        for _ in range(3):
            for batch in passes:
                _loss(model, batch).backward()
                given.append(watch.records())
            optimizer.step()
            optimizer.zero_grad()
            given.append(watch.records())
    assert [bool(records) for records in given] == [False, False, False, True, *[False] * 7, True]
    scalars = _scalars(given[3])
    wanted = _norm(each.grad for each in twin[0].parameters())
    assert scalars["watch_gradient_norm/0"] == pytest.approx(wanted, rel=1e-5)
    assert scalars["watch_activation_norm/0"] == pytest.approx(twin[0](passes[-1]).norm().item(), rel=1e-5)


def test_a_grad_scalers_scale_is_taken_out():
    """Under mixed precision, gradients are reported as if the loss had not been scaled."""
    model, batch = _network(), _batch()
    twin = copy.deepcopy(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _loss(twin, batch).backward()
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=2.0**10), _sgd(model)
    with ParameterWatch(model, scaler=scaler) as watch:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = _loss(model, batch)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        records = watch.records()
    for layer in ("0", "2"):
        wanted = _norm(each.grad for each in twin.get_submodule(layer).parameters())
        assert _scalars(records)[f"watch_gradient_norm/{layer}"] == pytest.approx(wanted, rel=1e-5)
    for name, parameter in twin.named_parameters():
        np.testing.assert_allclose(
            _histograms(records)[f"watch_gradients/{name}"], parameter.grad.ravel(), rtol=1e-5
        )
    assert _histograms(records)["watch_activations/0"].dtype == np.float32  # numpy has no bfloat16


def test_a_step_that_the_scaler_skips_is_told():
    """Infinite gradients make the scaler skip the optimizer; the watch reports them, and that nothing changed."""
    model = _network()
    scaler, optimizer = torch.amp.GradScaler("cpu", init_scale=2.0**10), _sgd(model)
    with ParameterWatch(model, scaler=scaler) as watch:
        scaler.scale(_loss(model, _batch()) * float("inf")).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        scalars = _scalars(watch.records())
    assert scalars["watch_nonfinite_gradients/2"] == 1
    assert scalars["watch_update_ratio/2"] == 0
    assert scalars["watch_nonfinite_parameters/2"] == 0


def test_dead_units_and_nonfinite_values_are_counted():
    """A unit that is never active, a row of zeros and a NaN are reported as shares."""
    model = _network()
    with torch.no_grad():
        model[0].bias[:3] = -1e6
        model[2].weight[0] = 0
        model[2].weight[1, 0] = float("nan")
    with ParameterWatch(model) as watch:
        scalars = _scalars(_train(model, watch, _sgd(model[0]))[0])
    assert scalars["watch_dead_activations/1"] == 3 / 6
    assert scalars["watch_dead_parameters/2"] == pytest.approx(1 / 3)  # of the weight, not of the bias
    assert scalars["watch_nonfinite_parameters/2"] == pytest.approx(1 / 21)
    assert scalars["watch_nonfinite_activations/2"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("layer", "inputs", "dead"),
    [
        (nn.Conv2d(1, 4, 1), torch.ones(2, 1, 3, 3), 1 / 4),
        (nn.Conv1d(1, 4, 1), torch.ones(2, 1, 5), 1 / 4),
        (nn.Linear(1, 4), torch.ones(2, 5, 1), 1 / 4),
        (nn.Linear(1, 4), torch.ones(2, 1), 1 / 4),
        (nn.Linear(1, 4), torch.ones(1), 1 / 4),
    ],
)
def test_channels_are_found_in_each_layout(layer, inputs, dead):
    """Channels are found where torch has them: in pictures, sequences of both orders, features and a single sample."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter[:] = 1
            parameter[2] = 0
    with ParameterWatch(layer) as watch:
        layer(inputs).sum().backward()
        _sgd(layer).step()
        scalars = _scalars(watch.records())
    assert scalars[f"watch_dead_activations/{type(layer).__name__}"] == dead


def test_two_optimizers_make_one_step():
    """The updates of both are in one set of records."""
    model = _network()
    optimizers = [torch.optim.SGD(model[0].parameters(), 0.1), torch.optim.SGD(model[2].parameters(), 0.1)]
    with ParameterWatch(model, every=2) as watch:
        _loss(model, _batch()).backward()
        for optimizer in optimizers:
            optimizer.step()
        scalars = _scalars(watch.records())
        assert watch.records() == []
    assert scalars["watch_update_ratio/0"] > 0
    assert scalars["watch_update_ratio/2"] > 0


def test_other_models_optimizers_do_not_count():
    """Steps of a second model's optimizer are not steps of the watched one."""
    model, other = _network(), _network()
    with ParameterWatch(model, every=2) as watch:
        assert [bool(records) for records in _train(other, watch, _sgd(other), steps=3)] == [False] * 3
        assert [bool(records) for records in _train(model, watch, _sgd(model), steps=3)] == [
            True,
            False,
            True,
        ]


def test_passes_that_do_not_train_are_not_shown():
    """A validation pass and another adapter's pass change none of the figures."""
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    batch = torch.rand(2, 1, 8, 8)
    optimizer = _sgd(model)
    with ParameterWatch(model) as watch:
        model(batch).sum().backward()
        wanted = model[0](batch).norm().item()
        with torch.no_grad():
            model(5 * batch)
        class_activation_maps(model, 7 * batch, "0")
        optimizer.step()
        scalars = _scalars(watch.records())
    assert scalars["watch_activation_norm/0"] == pytest.approx(wanted)


def test_recomputed_activations_are_watched_too():
    """Layers under activation checkpointing show their outputs when they run with gradients."""
    model, batch = _network(), _batch()
    with ParameterWatch(model) as watch:
        checkpoint(model, batch.requires_grad_(), use_reentrant=True).sum().backward()
        _sgd(model).step()
        assert _scalars(watch.records())["watch_activation_norm/0"] > 0


def test_between_watched_steps_one_hook_is_left():
    """Outside a watched step, parameters and layers have no hooks."""
    model = _network()
    optimizer = _sgd(model)
    with ParameterWatch(model, every=3) as watch:
        assert all(parameter._post_accumulate_grad_hooks for parameter in model.parameters())
        assert all(layer._forward_hooks for layer in model)
        _train(model, watch, optimizer)
        assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters())
        assert not any(layer._forward_hooks for layer in model)


@pytest.mark.parametrize("error", [None, KeyError], ids=["ended", "raised"])
def test_all_hooks_come_off(error):
    """After the block, even one that raised half-way, the model and the optimizers have none of its hooks."""
    from torch.optim.optimizer import _global_optimizer_post_hooks

    model = _network()
    with untouched(model):
        try:
            with ParameterWatch(model):
                _ = model(_batch())
                if error:
                    raise error
        except KeyError:
            pass
    assert not any(parameter._post_accumulate_grad_hooks for parameter in model.parameters())
    assert not _global_optimizer_post_hooks


class _NoSync(TorchDispatchMode):
    """Fails at each operation that would make a CUDA device's caller wait."""

    waiting = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "_unique", "unique")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.name().removeprefix("aten::").split(".")[0]
        assert name not in self.waiting, f"{name} waits for the device"
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device():
    """A watched step reads no tensor value, so nothing in it would wait on a GPU."""
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 2))
    optimizer, batch = _sgd(model), torch.rand(2, 1, 8, 8)
    scaler = torch.amp.GradScaler("cpu")
    with ParameterWatch(model, every=1, scaler=scaler, max_values=10) as watch, _NoSync():
        scaler.scale(model(batch).sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
        assert watch.records()
    with _NoSync(), pytest.raises(AssertionError, match="waits"):
        batch.sum().item()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
@pytest.mark.parametrize("scale", [None, 1024.0], ids=["float32", "float16"])
def test_nothing_waits_for_a_cuda_device(scale):
    """With torch's sync debug mode set to error, a watched step passes, and the values are exact."""
    model, batches = _network().cuda(), [_batch(1).cuda(), _batch(2).cuda()]
    optimizer = _sgd(model)
    scaler = None if scale is None else torch.amp.GradScaler("cuda", init_scale=scale)

    def accumulate(model):
        for batch in batches:
            with torch.autocast("cuda", dtype=torch.float16, enabled=scaler is not None):
                loss = _loss(model, batch)
            (loss if scaler is None else scaler.scale(loss)).backward()

    twin = copy.deepcopy(model)
    accumulate(twin)
    with ParameterWatch(model, every=1, scaler=scaler) as watch:
        torch.cuda.set_sync_debug_mode("error")
        try:
            accumulate(model)
            optimizer.step()
            records = watch.records()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    wanted = _norm(each.grad for each in twin[0].parameters()) / (scale or 1)
    assert _scalars(records)["watch_gradient_norm/0"] == pytest.approx(wanted, rel=1e-3)


def test_a_histogram_counts_an_even_sample_of_large_tensors():
    """max_values bounds the histogram's sample, but the statistics still cover all values."""
    model = nn.Linear(100, 70)
    with ParameterWatch(model, max_values=500) as watch:
        model(torch.rand(2, 100)).sum().backward()
        _sgd(model).step()
        records = watch.records()
    drawn = _histograms(records)["watch_parameters/weight"]
    assert 400 < len(drawn) <= 500
    assert np.isin(drawn, model.weight.detach().numpy()).all()
    assert _scalars(records)["watch_parameter_norm/Linear"] == pytest.approx(_norm(model.parameters()))


def test_what_is_not_wanted_is_not_told():
    """Each kind can be left out, and a tag can be prefixed to all."""
    model = _network()
    wanted = {"parameters": False, "activations": False, "histograms": False, "tag": "run"}
    with ParameterWatch(model, **wanted) as watch:
        (records,) = _train(model, watch, _sgd(model))
    assert {record.tag.partition("/")[0] for record in records} == {
        "run",
        "run_gradient_norm",
        "run_dead_gradients",
        "run_nonfinite_gradients",
    }
    with ParameterWatch(model, gradients=False, tag="") as watch:
        (records,) = _train(model, watch, _sgd(model))
    groups = {record.tag.partition("/")[0] for record in records}
    assert {"layers", "table", "parameter_norm", "activations", "update_ratio"} < groups
    assert not any("gradient" in group for group in groups)


def test_layers_choose_parameters_and_outputs():
    """Only the chosen layers show their parameters and outputs; the error for a wrong name lists the nearest."""
    model = _network()
    with ParameterWatch(model, layers="2") as watch:
        (records,) = _train(model, watch, _sgd(model))
    names = {record.tag.split("/", 1)[1] for record in records if not record.tag.startswith("watch/")}
    assert names == {"2", "2.weight", "2.bias"}
    with pytest.raises(InvalidValueError, match="no layer '22'"):
        ParameterWatch(model, layers="22")


def test_sparse_gradients_are_told_by_what_they_store():
    """An embedding with sparse gradients is watched like any other layer."""
    model = nn.Embedding(10, 3, sparse=True)
    with ParameterWatch(model) as watch:
        model(torch.tensor([1, 1, 4])).sum().backward()
        _sgd(model).step()
        scalars = _scalars(watch.records())
    assert scalars["watch_gradient_norm/Embedding"] == pytest.approx((3 * 2**2 + 3 * 1**2) ** 0.5)


def test_frozen_parameters_have_no_updates():
    """Frozen parameters show their norm, but neither gradient nor update."""
    model = _network()
    model[0].requires_grad_(requires_grad=False)
    with ParameterWatch(model) as watch:
        scalars = _scalars(_train(model, watch, _sgd(model))[0])
    assert "watch_parameter_norm/0" in scalars
    assert "watch_update_ratio/0" not in scalars
    assert "watch_gradient_norm/0" not in scalars


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"every": 0}, "every was 0; give a number of steps, 1 or more"),
        ({"histograms": -1}, "histograms was -1; give True, False or"),
        ({"layers": nn.ReLU}, "requires a gradient"),
    ],
)
def test_wrong_arguments_are_refused(wrong, told):
    """A period of zero, and layers with nothing to train, are errors."""
    with pytest.raises(InvalidValueError, match=told):
        ParameterWatch(_network(), **wrong)


@pytest.mark.parametrize("layers", [None, "0"])
def test_lazy_modules_that_never_ran_are_refused(layers):
    """Their parameters have no shape yet, and accept no hooks."""
    lazy = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 1))
    with pytest.raises(InvalidValueError, match="weight' has no shape yet; run the model once"):
        ParameterWatch(lazy, layers=layers)
    ParameterWatch(lazy, layers="1")


def test_records_reach_tensorboard(tmp_path):
    """Records logged at a watched step are read back at that step."""
    model = _network()
    with ParameterWatch(model, every=2) as watch, tblog.SummaryWriter(str(tmp_path)) as writer:
        for step, records in enumerate(_train(model, watch, _sgd(model), steps=3)):
            writer.add_records(records, step)
    assert [step for step, *_ in points(tmp_path)["watch/gradient_norm"]] == [0, 2]
    written = accumulator(tmp_path)
    assert [event.step for event in written.Images("watch/layers")] == [0, 2]
    tables = written.Tensors("watch/table/text_summary")
    assert [event.step for event in tables] == [0, 2]
    assert b"| `0` | Linear |" in tables[0].tensor_proto.string_val[0]


def test_histograms_come_with_some_watched_steps_alone():
    """A number says which ones, including the first; True means all of them, and False or 0 none."""
    for histograms, wanted in ((3, "x--x-"), (True, "xxxxx"), (1, "xxxxx"), (False, "-----"), (0, "-----")):
        model = _network()
        with ParameterWatch(model, every=2, histograms=histograms) as watch:
            given = [records for records in _train(model, watch, _sgd(model), steps=10) if records]
        assert "".join("x" if _histograms(records) else "-" for records in given) == wanted


def test_a_watch_that_never_began_says_so():
    """Its records would stay empty; after start() they do not, and after stop() the rest can be fetched."""
    model = _network()
    watch = ParameterWatch(model, every=1)
    with pytest.raises(
        InvalidValueError, match=r"before the watch was started.*`with` block.*start\(\).*writer"
    ):
        watch.records()
    assert watch.start() is watch
    (records,) = _train(model, watch, _sgd(model))
    assert records
    _loss(model, _batch()).backward()
    _sgd(model).step()
    watch.stop()
    assert watch.records()
    assert watch.records() == []


def test_start_and_stop_are_the_block():
    """Both may be called again, and nothing between a stop and a start is watched."""
    model = _network()
    with untouched(model):
        watch = ParameterWatch(model, every=1).start().start()
        watch.stop()
        watch.stop()
    watch.start()
    with watch:
        assert len(model._forward_pre_hooks) == 1
        (first,) = _train(model, watch, _sgd(model))
    model.zero_grad()
    for _ in range(2):
        _loss(model, _batch()).backward()
        _sgd(model).step()
    assert watch.records() == []
    watch.start()
    (second,) = _train(model, watch, _sgd(model))
    watch.stop()
    assert first
    assert second


def test_with_a_writer_it_is_one_line(tmp_path):
    """It starts at once and logs each watched step at its number, the last one when it stops."""
    model = _network()
    with tblog.SummaryWriter(str(tmp_path)) as writer:
        watch = ParameterWatch(model, every=2, writer=writer)
        assert _train(model, watch, _sgd(model), steps=3) == [[]] * 3
        watch.stop()
    assert [step for step, *_ in points(tmp_path)["watch/gradient_norm"]] == [0, 2]
    with (
        tblog.SummaryWriter(str(tmp_path), resume=3) as writer,
        ParameterWatch(model, 2, writer=writer) as watch,
    ):
        _train(model, watch, _sgd(model), steps=3)
    assert [step for step, *_ in points(tmp_path)["watch/gradient_norm"]] == [0, 2, 3, 5]


def test_a_writer_of_another_library_is_refused():
    """It accepts no records, and the error says whose writer is wanted."""
    with pytest.raises(InvalidTypeError, match=r"the writer was a _io.StringIO.*give a tblog.SummaryWriter"):
        ParameterWatch(_network(), writer=io.StringIO())


_SHARDED = """
    import torch
    import torch.distributed as dist
    from torch import nn
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
    from tblog import SummaryWriter
    from tblog.adapters.parameters import ParameterWatch
    from tblog.errors import InvalidTypeError, UnsupportedTypeError

    dist.init_process_group("gloo", init_method="file:///STORE", rank=RANK, world_size=2)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Linear(3, 1))
    for module in (model[0], model[2], model):
        fully_shard(module, mesh=init_device_mesh("cpu", (2,)))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with ParameterWatch(model, every=1, histograms=True) as watch:
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        scalars = {record.tag: float(record.value) for record in watch.records() if hasattr(record, "value")}
    for index in (0, 2, 3):
        parameters = list(model[index].parameters())
        own = torch.cat([parameter.to_local().detach().ravel() for parameter in parameters]).norm()
        print(index, scalars.get(f"watch_parameter_norm/{index}"), own.item() if own else None)
        gradient = torch.cat([parameter.grad.to_local().ravel() for parameter in parameters]).norm()
        print(index, scalars.get(f"watch_gradient_norm/{index}"), gradient.item() if own else None)
    with SummaryWriter("run", write_to_disk=False) as writer:
        for call in (writer.add_histogram, writer.add_tensor):
            try:
                call("weight", model[0].weight)
            except UnsupportedTypeError as error:
                print("refused", "full_tensor()" in str(error), "to_local()" in str(error))
    try:
        ParameterWatch(FullyShardedDataParallel(nn.Linear(2, 2), device_id=torch.device("cpu")))
    except InvalidTypeError as error:
        print("refused", "fully_shard" in str(error), True)
    dist.barrier()
    dist.destroy_process_group()
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")
def test_a_sharded_model_is_told_by_the_part_of_each_process(tmp_path):
    """Under FSDP's fully_shard, nothing is reduced and no process waits, even with uneven and empty shards."""
    program = _SHARDED.replace("/STORE", str(tmp_path / "store"))
    with ThreadPoolExecutor(2) as pool:
        ranks = pool.map(lambda rank: run_program(program.replace("RANK", str(rank)), tmp_path), range(2))
        printed = [line.split() for output in ranks for line in output.splitlines()]
    figures = [line for line in printed if line[0] != "refused"]
    assert len(figures) == 2 * 3 * 2
    for _, told, wanted in figures:
        assert (told, wanted) == ("None", "None") or float(told) == pytest.approx(float(wanted), rel=1e-5)
    assert [line for line in printed if line[0] == "refused"] == [["refused", "True", "True"]] * 6


def test_a_watch_shows_itself_in_a_line():
    """Its repr, for a debugger, shows the model, whether it is on, and its progress."""
    model = _network()
    watch = ParameterWatch(model, every=2, tag="inner")
    assert repr(watch) == "<ParameterWatch 'inner' of Sequential (off, every 2 steps): 0 steps seen>"
    with watch:
        _train(model, watch, torch.optim.SGD(model.parameters()), steps=3)
        assert repr(watch) == "<ParameterWatch 'inner' of Sequential (on, every 2 steps): 3 steps seen>"


def test_a_watch_that_nobody_stops_keeps_no_model_alive(tmp_path):
    """The one-line form starts a watch that is never stopped, and a search trains many models in one process."""
    before = len(hooks)
    with tblog.SummaryWriter(tmp_path) as writer:
        for _ in range(3):
            model = _network()
            watched = weakref.ref(model)
            ParameterWatch(model, every=1, writer=writer)
            optimizer = torch.optim.SGD(model.parameters())
            for step in range(3):
                _loss(model, _batch(step)).backward()
                optimizer.step()
                optimizer.zero_grad()
            del model, optimizer
            gc.collect()
            assert watched() is None
            assert len(hooks) == before
    assert len(points(tmp_path)["watch/gradient_norm"]) == 3 * 2
