"""Anything array-like becomes a snapshot: which values are exact, and which objects are refused."""

from __future__ import annotations

import decimal
import fractions

import ml_dtypes
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tblog._values import arrays as _arrays
from tblog._values import devices as _devices
from tblog._values import torch_tensors as _torch_tensors
from tblog.errors import InvalidValueError, NotAScalarError, UnsupportedTypeError

FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2]


class OnlyArray:
    """A foreign array that numpy can read."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype=dtype)


class OnlyDlpack:
    """A foreign array that supports only DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


TENTH = 0.10000000149011612  # in float32
SCALARS = {  # name: (value, the float that it is)
    "float": (0.1, 0.1),
    "int": (3, 3.0),
    "bool": (True, 1.0),
    "decimal": (decimal.Decimal("0.5"), 0.5),
    "fraction": (fractions.Fraction(1, 4), 0.25),
    "numpy scalar": (np.float32(0.1), TENTH),
    "numpy 0-d": (np.array(7), 7.0),
    "numpy one element": (np.array([[2.5]]), 2.5),
    "numpy bool": (np.bool_(True), 1.0),
    "numpy half": (np.float16(0.1), 0.0999755859375),
    "ml_dtypes bfloat16": (np.array(1.5, dtype=ml_dtypes.bfloat16), 1.5),
    "tensor": (torch.tensor(0.1, dtype=torch.float64), 0.1),
    "tensor of float32": (torch.tensor(0.1), TENTH),
    "tensor one element": (torch.tensor([[3]]), 3.0),
    "tensor bool": (torch.tensor(True), 1.0),
    "tensor requires grad": (torch.tensor(0.5, requires_grad=True), 0.5),
    "parameter": (torch.nn.Parameter(torch.tensor(0.5)), 0.5),
    "tensor bfloat16": (torch.tensor(1e5, dtype=torch.bfloat16), 99840.0),
    "tensor sparse": (torch.tensor([4.0]).to_sparse(), 4.0),
    "tensor quantized": (torch.quantize_per_tensor(torch.tensor([0.5]), 0.25, 0, torch.qint8), 0.5),
    "tensor conjugate view": (torch.tensor(2 + 0j).conj().real, 2.0),
    "array protocol": (OnlyArray([0.25]), 0.25),
    "dlpack": (OnlyDlpack(np.array([0.75])), 0.75),
    "float8_e4m3fn": (torch.tensor(1.5).to(torch.float8_e4m3fn), 1.5),
    "float8_e5m2": (torch.tensor(1.5).to(torch.float8_e5m2), 1.5),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_is_read_exactly(name):
    """The float equals the value, whatever holds it."""
    value, wanted = SCALARS[name]
    assert _arrays.scalar(value, "tag") == wanted


def fake_tensor():
    """Return a tensor as torch.compile sees it."""
    with FakeTensorMode():
        return torch.zeros(())


@pytest.mark.parametrize(
    "value",
    [
        "high",
        b"1",
        None,
        [1.0],
        (1.0,),
        {"a": 1},
        1j,
        torch.tensor(1j),
        np.array(1j),
        np.array("x"),
        ...,
    ],
    ids=repr,
)
def test_what_is_no_real_number_is_refused_with_its_type(value):
    """The error names the tag and the type, and is a NotImplementedError, which frameworks catch."""
    with pytest.raises(UnsupportedTypeError, match=f"'tag': got .* of type {type(value).__name__}"):
        _arrays.scalar(value, "tag")


@pytest.mark.parametrize("make", [lambda: torch.zeros((), device="meta"), fake_tensor], ids=["meta", "fake"])
def test_a_tensor_without_values_is_refused(make):
    """Torch logs a random number for a meta tensor; tblog says that it has no values."""
    with pytest.raises(UnsupportedTypeError, match="has no values to log"):
        _arrays.scalar(make(), "tag")
    with pytest.raises(UnsupportedTypeError, match="has no values to log"):
        _arrays.snapshot(make(), "tag")


@pytest.mark.parametrize("value", [np.zeros(0), np.zeros(2), torch.zeros(2, 2), torch.zeros(0)], ids=repr)
def test_an_array_of_none_or_several_elements_is_no_scalar(value):
    """The error gives the shape, and is an AssertionError like torch's."""
    with pytest.raises(NotAScalarError, match=r"got an array of shape"):
        _arrays.scalar(value, "tag")


def test_a_number_beyond_float64_is_refused():
    """Python's integers and fractions are unbounded, the file's numbers are not."""
    with pytest.raises(UnsupportedTypeError, match="an integer of 1329 bits"):
        _arrays.scalar(10**400, "tag")
    with pytest.raises(UnsupportedTypeError, match=r"'tag': Fraction\(1000.* is beyond float64"):
        _arrays.scalar(fractions.Fraction(10**400, 3), "tag")


class Raising:
    """An object whose every method for numpy, and whose `repr()`, raise."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Array has been deleted\nand more lines")

    def __repr__(self):
        raise RuntimeError("no repr")


class RaisingDlpack:
    """An array on a device that numpy cannot reach."""

    def __dlpack__(self, **_options):
        raise BufferError("on a device")

    def __dlpack_device__(self):
        return 1, 0


class RaisingProperty(Raising):
    """An object that raises when its attributes are read."""

    @property
    def __array__(self):
        raise RuntimeError("not now")


class RaisingFloat:
    """A number whose conversion raises."""

    def __float__(self):
        raise RuntimeError("not now")

    def __repr__(self):
        raise RuntimeError("no repr")


ENDLESS = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [
        Raising(),
        RaisingDlpack(),
        RaisingProperty(),
        RaisingFloat(),
        [Raising()],
        [[RaisingFloat()]],
        ENDLESS,
        [1 << 20_000],
        np.void(b"abc"),
        np.zeros(2, "V4"),
        np.zeros(2, [("a", int)]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_raises_when_it_is_read_is_refused_with_its_tag(value):
    """Whatever the object's methods raise, the error has one type and one line, and says what to give."""
    for read in (_arrays.scalar, _arrays.snapshot):
        with pytest.raises(UnsupportedTypeError, match=r"^'tag': got .*; .*give [^\n]*$"):
            read(value, "tag")


def test_the_error_for_an_array_of_objects_names_its_dtype():
    """It is already a numpy array, so the message does not ask for one."""
    with pytest.raises(UnsupportedTypeError, match=r"it has dtype object: give array\.astype\(float\)"):
        _arrays.snapshot(np.array([1.5, None]), "tag")


ARRAYS = {
    **{
        str(np.dtype(dtype)): np.arange(6).reshape(2, 3).astype(dtype)
        for dtype in ["?", "b", "B", "h", "H", "i", "I", "l", "L", "e", "f", "d", "F", "D"]
    },
    "strided": np.arange(24).reshape(4, 6)[::2, ::-3],
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "read-only": np.broadcast_to(np.arange(3), (2, 3)),
    "empty": np.zeros((0, 3)),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_a_numpy_snapshot_keeps_values_shape_and_dtype_and_no_memory(name):
    """The snapshot does not change with the array."""
    array = ARRAYS[name]
    snapshot = _arrays.snapshot(array, "tag")
    np.testing.assert_array_equal(snapshot, array)
    assert snapshot.dtype == array.dtype
    assert not np.shares_memory(snapshot, array)


TENSORS = {
    **{
        str(dtype): torch.arange(6).reshape(2, 3).to(dtype)
        for dtype in (
            torch.bool,
            torch.uint8,
            torch.int8,
            torch.int16,
            torch.int32,
            torch.int64,
            torch.float16,
            torch.float32,
            torch.float64,
            torch.complex64,
        )
    },
    "transposed": torch.arange(6.0).reshape(2, 3).T,
    "expanded": torch.arange(3.0).expand(2, 3),
    "requires grad": torch.arange(3.0, requires_grad=True),
    "conjugate": torch.tensor([1 + 2j]).conj(),
    "sparse": torch.eye(3).to_sparse(),
    "csr": torch.eye(3).to_sparse_csr(),
    "quantized": torch.quantize_per_tensor(torch.arange(3.0), 0.5, 0, torch.qint8),
}


@pytest.mark.parametrize("name", TENSORS)
def test_a_torch_snapshot_keeps_values_and_no_memory(name):
    """Layouts and lazy views are resolved; later changes of the tensor do not show."""
    tensor = TENSORS[name]
    wanted = tensor.detach()
    wanted = wanted.dequantize() if wanted.is_quantized else wanted.to_dense()
    wanted = wanted.resolve_conj().clone().numpy()
    snapshot = _arrays.to_numpy(_arrays.snapshot(tensor, "tag"))
    if tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_conj():
        with torch.no_grad():
            assert not np.shares_memory(snapshot, tensor.detach().numpy())
    np.testing.assert_array_equal(snapshot, wanted)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_bfloat16_and_float8_are_widened_exactly(name):
    """Every bit pattern becomes the float32 that ml_dtypes, which TensorFlow reads them with, gives."""
    reference = np.dtype(getattr(ml_dtypes, name))
    bits = np.arange(1 << (8 * reference.itemsize)).astype(f"u{reference.itemsize}")
    tensor = torch.from_numpy(bits.view(f"i{reference.itemsize}")).view(getattr(torch, name))
    snapshot = _arrays.to_numpy(_arrays.snapshot(tensor, "tag"))
    assert snapshot.dtype == np.float32
    np.testing.assert_array_equal(snapshot, bits.view(reference).astype(np.float32))
    assert _torch_tensors.torch_dtype_name(tensor) == name


class Wrapped(torch.Tensor):
    """A tensor whose storage is inaccessible."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        if "detach" in str(function):
            return args[0]
        raise NotImplementedError(f"no {function}\nand more lines")


ROWS = [torch.ones(2), torch.ones(3)]
UNREADABLE = {  # by the text of the error
    "a nested tensor": lambda: torch.nested.nested_tensor(ROWS, layout=torch.jagged),
    "got a nested tensor": lambda: torch.nested.nested_tensor(ROWS),
    "dtype torch.bits8, which numpy lacks": lambda: torch.zeros(1, dtype=torch.uint8).view(torch.bits8),
    "dtype torch.complex32, which numpy lacks": lambda: torch.zeros(2, dtype=torch.complex32),
    "that torch cannot read": lambda: Wrapped(torch.ones(1)),
    "a UninitializedParameter on device cpu has no values": torch.nn.UninitializedParameter,
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("message", UNREADABLE)
def test_a_tensor_that_is_no_array_of_numbers_is_refused_with_its_tag(message):
    """The call's error says what it is and what to give."""
    with pytest.raises(UnsupportedTypeError, match=f"'tag': .*{message}.*; (give|log) "):
        _arrays.snapshot(UNREADABLE[message](), "tag")
    with pytest.raises((UnsupportedTypeError, NotAScalarError), match=r"'tag': .*; (give|log) "):
        _arrays.scalar(UNREADABLE[message](), "tag")


def test_a_tensor_of_many_processes_is_logged_where_each_has_all_of_it():
    """A part is never logged as the whole, and no process waits for the others."""
    from torch.distributed.tensor import DTensor, Replicate, Shard
    from torch.distributed.tensor.debug import CommDebugMode
    from torch.testing._internal.distributed.fake_pg import FakeStore

    torch.distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        mesh = torch.distributed.device_mesh.init_device_mesh("cpu", (2,))
        part = DTensor.from_local(torch.ones(1), mesh, [Shard(0)])
        whole = DTensor.from_local(torch.ones(1), mesh, [Replicate()])
        with CommDebugMode() as communication:
            for read in (_arrays.snapshot, _arrays.scalar):
                with pytest.raises(
                    UnsupportedTypeError,
                    match=r"'tag': got a DTensor .*; give tensor\.to_local\(\), that part",
                ):
                    read(part, "tag")
            assert _arrays.snapshot(whole, "tag").tolist() == [1]
            assert _arrays.scalar(whole, "tag") == 1
        assert communication.get_total_counts() == 0
    finally:
        torch.distributed.destroy_process_group()


def test_tensors_of_one_kind_in_a_list_are_one_snapshot():
    """Tensors of several dtypes become numpy's common dtype, as a list of numbers does."""
    assert _arrays.snapshot([torch.tensor(1), torch.tensor(2)], "tag").dtype == np.int64
    assert _arrays.snapshot([torch.tensor(1), torch.tensor(2.5)], "tag").tolist() == [1, 2.5]
    assert _arrays.snapshot([torch.ones(2, requires_grad=True)] * 2, "tag").tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    "tensor",
    [torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16), torch.eye(2).to_sparse()],
)
def test_tensors_in_lists_in_lists_are_read_as_in_a_list(tensor):
    """However deep they are, and even where torch's own conversion fails."""
    wanted = _arrays.to_numpy(_arrays.snapshot(tensor, "tag"))
    found = _arrays.snapshot([[tensor, tensor], [tensor, tensor]], "tag")
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, (2, 2, *wanted.shape)))


def test_without_copy_the_callers_memory_is_handed_over():
    """A caller who promises not to change an array saves its copy."""
    array, tensor = np.zeros(3), torch.zeros(3)
    assert np.shares_memory(_arrays.snapshot(array, "tag", copy=False), array)
    assert np.shares_memory(_arrays.snapshot(tensor, "tag", copy=False), tensor.numpy())


def test_sequences_of_numbers_and_of_tensors_are_arrays():
    """Lists are accepted wherever arrays are."""
    assert _arrays.snapshot([1, 2.5], "tag").tolist() == [1, 2.5]
    assert _arrays.snapshot([torch.ones(2), torch.zeros(2)], "tag").tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("value", [..., {"a": 1}, None, [[1], [1, 2]], np.array([...])], ids=repr)
def test_what_holds_no_numbers_is_refused(value):
    """The error says what is accepted."""
    with pytest.raises(UnsupportedTypeError, match="give "):
        _arrays.snapshot(value, "tag")


class FakeModule:
    """Stands in for torch.cuda and torch.xpu without a GPU: a copy arrives when its event is waited for."""

    capturing = False

    def __init__(self, **event_options):
        self.event_options = event_options
        self.waits = self.records = 0

    def is_current_stream_capturing(self):
        return self.capturing

    def device(self, _device):
        import contextlib

        return contextlib.nullcontext()

    def Event(self, **options):
        assert options == self.event_options
        return self

    def record(self):
        self.records += 1

    def synchronize(self):
        self.waits += 1


class FakeTorch:
    """Stands in for torch: an allocator that ignores pinning, and the modules above."""

    def __init__(self):
        self.cuda, self.xpu = FakeModule(blocking=True), FakeModule()

    def stack(self, tensors):
        return OnGpu(torch.stack([tensor.tensor for tensor in tensors]), tensors[0].device.type)

    def empty(self, shape, dtype, *, device, pin_memory):
        assert pin_memory
        assert device == "cpu"
        return torch.empty(shape, dtype=dtype)


class OnGpu:
    """Stands in for a tensor on a GPU: one on the host that says it is elsewhere."""

    def __init__(self, tensor, kind):
        self.tensor, self.kind = tensor, kind
        self.shape, self.dtype = tensor.shape, tensor.dtype

    @property
    def device(self):
        return torch.device(self.kind)

    def detach(self):
        return self

    def reshape(self, shape):
        return OnGpu(self.tensor.reshape(shape), self.kind)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return function(*(arg.tensor if isinstance(arg, OnGpu) else arg for arg in args), **(kwargs or {}))


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_a_gpu_tensor_is_not_waited_for_until_the_worker_reads_it(kind, monkeypatch):
    """The caller starts the copy; its reader waits for the event."""
    fake = FakeTorch()
    module = getattr(fake, kind)
    monkeypatch.setitem(_devices.sys.modules, "torch", fake)
    tensor = torch.tensor([1e5], dtype=torch.bfloat16)
    deferred = _devices.defer_copy(OnGpu(tensor, kind))
    assert (module.records, module.waits) == (1, 0)
    assert deferred.nbytes == 2
    assert float(deferred) == float(tensor)
    assert module.waits == 1
    assert deferred.numpy().dtype == np.float32


def test_numbers_of_one_gpu_share_one_copy(monkeypatch):
    """One event is recorded and waited for, and each number is its own."""
    fake = FakeTorch()
    monkeypatch.setitem(_devices.sys.modules, "torch", fake)
    copies = _devices.defer_together([OnGpu(torch.tensor(1.5), "cuda"), OnGpu(torch.tensor([2.5]), "cuda")])
    assert fake.cuda.records == 1
    assert [float(copy) for copy in copies] == [1.5, 2.5]


def test_an_array_protocol_that_hands_out_its_own_memory_is_copied():
    """A snapshot does not change with its source object."""
    holder = OnlyArray(np.zeros(3))
    snapshot = _arrays.snapshot(holder, "tag")
    holder.array += 1
    assert snapshot.tolist() == [0, 0, 0]


def test_a_gpu_tensor_logged_while_a_cuda_graph_is_captured_is_refused(monkeypatch):
    """The copy would become part of the graph."""
    fake = FakeTorch()
    fake.cuda.capturing = True
    monkeypatch.setitem(_devices.sys.modules, "torch", fake)
    with pytest.raises(InvalidValueError, match="after the capture"):
        _devices.defer_copy(OnGpu(torch.zeros(1), "cuda"))


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")


@pytest.mark.cuda
@needs_cuda
def test_a_dict_of_cuda_tensors_is_logged_exactly_without_a_sync(tmp_path):
    """Values are those at the call, though the tensors are overwritten in place on the next line."""
    from tblog import SummaryWriter
    from tests.reading import points

    tensors = {str(i): torch.tensor(float(i), device="cuda") for i in range(5)}
    with SummaryWriter(tmp_path) as writer:
        torch.cuda.set_sync_debug_mode("error")
        try:
            for step in range(3):
                writer.add_scalar_dict({**tensors, "python": 0.5}, step)
                for tensor in tensors.values():
                    tensor.add_(1)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    expected = {str(i): [(step, float(i + step)) for step in range(3)] for i in range(5)}
    assert points(tmp_path) == {**expected, "python": [(step, 0.5) for step in range(3)]}


@pytest.mark.cuda
@needs_cuda
def test_logging_a_cuda_tensor_does_not_synchronise_the_device():
    """With torch's sync debug mode set to error, scalars and arrays still pass."""
    tensor = torch.arange(1000.0, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        scalar = _arrays.scalar(tensor[3], "tag")
        array = _arrays.snapshot(tensor, "tag")
        tensor.zero_()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert float(scalar) == 3.0
    assert array.numpy().tolist() == list(map(float, range(1000)))
