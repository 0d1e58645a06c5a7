"""Anything array-like becomes a snapshot that the worker can read.

Lives here: which types are taken (torch, numpy, jax, Python numbers, anything with `__array__` or
DLPack), the one copy that a snapshot costs, exact widening of the types that numpy lacks.
Must not: build messages, touch files, import torch (a tensor's module is loaded already).
Runs on the caller's thread, but for `to_numpy`, which the worker calls.

The contract, tested in tests/test_contract.py:

Snapshot: what is logged is the value at the time of the call, whatever happens to the array later. A
tensor on a GPU is not waited for: `tblog._devices` copies it on its stream.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog import _devices
from tblog.errors import NotAScalarError, UnsupportedTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tblog.records import Array

WANTED = "give a number, a numpy array, a torch or jax tensor, or anything with __array__ or __dlpack__"


def _quick_tensor(tensor: Any) -> float:
    """Read a CPU tensor's one element, which `item` checks; KeyError where it lies elsewhere."""
    if tensor.is_cpu:
        value = tensor.item()
        if type(value) is not complex:
            return float(value)
    raise KeyError


QUICK_NUMBERS: dict[type, Callable[[Any], float]] = dict.fromkeys(
    (int, bool, np.float64, np.float32, np.float16, np.int64, np.int32), float
)
"""Types of which one number is read at once; torch's are added when the first of its tensors comes by.

Its functions raise KeyError, OverflowError or RuntimeError where `scalar` has to look closer.
"""


def to_numpy(array: Array | Any) -> NDArray[Any]:
    """Return what a record holds as a numpy array; runs what was deferred."""
    return array if isinstance(array, np.ndarray) else array.numpy()


def is_torch_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def scalar(value: Any, tag: str) -> Any:
    """Return one number as a float, or as a `Deferred` with `__float__` while it is on a GPU.

    Raises:
        UnsupportedTypeError: the value is no real number.
        NotAScalarError: it has no elements, or more than one.
    """
    if isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
        return _to_float(value, tag)
    if isinstance(value, _devices.DeferredTensor):
        return value  # an adapter's number, which is on its way already
    if isinstance(value, (str, bytes, list, tuple, dict, set)) or value is None:
        raise _unsupported(value, tag, "give one number")
    if is_torch_tensor(value):
        torch = sys.modules["torch"]
        if type(value) in {torch.Tensor, torch.nn.Parameter}:
            QUICK_NUMBERS[type(value)] = _quick_tensor
        return _torch_scalar(value, tag)
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        return _numpy_scalar(snapshot(value, tag, copy=False), tag)
    if hasattr(value, "__float__"):
        return _to_float(value, tag)
    raise _unsupported(value, tag, "give one number")


def scalars(values: Sequence[Any], tags: Sequence[str]) -> tuple[Any, ...]:
    """Return numbers as `scalar` does; those of one GPU and dtype share one copy.

    Raises:
        The errors of `scalar`.
    """
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        if (
            is_torch_tensor(value)
            and _devices.is_deferrable(value)
            and value.numel() == 1
            and not value.is_complex()
        ):
            groups.setdefault((value.device, value.dtype), []).append(index)
    shared: dict[int, Any] = {}
    for indices in groups.values():
        shared.update(
            zip(indices, _devices.defer_together([values[index] for index in indices]), strict=True)
        )
    return tuple(
        shared[index] if index in shared else scalar(value, tags[index]) for index, value in enumerate(values)
    )


def snapshot(value: Any, tag: str, *, copy: bool = True) -> Array:
    """Return an array that nothing changes any more, copied once at most.

    Args:
        value: anything array-like, of any shape.
        tag: named in errors.
        copy: False hands the caller's memory over where that is possible.

    Raises:
        UnsupportedTypeError: the value is nothing that holds numbers.
    """
    if isinstance(value, np.ndarray):
        # A plain array, where the value is of a subclass such as a masked array.
        return _checked(np.array(value, order="C") if copy else np.asarray(value), tag, value)
    if is_torch_tensor(value):
        return _torch_snapshot(value, tag, copy=copy)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return _checked(np.asarray(value), tag, value)
    if isinstance(value, (list, tuple)):
        return _sequence_snapshot(value, tag)
    if hasattr(value, "__array__"):
        array = np.asarray(value)
    elif hasattr(value, "__dlpack__"):
        array = np.from_dlpack(value)
    else:
        raise _unsupported(value, tag, WANTED)
    return _checked(array.copy() if copy else array, tag, value)


def torch_dtype_name(value: Any) -> str | None:
    """Return the name of a torch dtype that numpy lacks ("bfloat16"), or None."""
    if not is_torch_tensor(value):
        return None
    name = str(value.dtype).removeprefix("torch.")
    return name if name == "bfloat16" or name.startswith("float8") else None


def _to_float(value: Any, tag: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise UnsupportedTypeError(
            f"scalar {tag!r}: an integer of {value.bit_length()} bits is beyond float64; log its logarithm"
        ) from error
    except (TypeError, ValueError) as error:
        raise _unsupported(value, tag, "give one number") from error


def _numpy_scalar(array: Any, tag: str) -> float:
    if array.size != 1:
        raise _not_a_scalar(array.shape, tag)
    if array.dtype.kind not in "fiub":
        raise _unsupported(array, tag, "give one real number")
    return float(array.reshape(())[()])


def _torch_scalar(tensor: Any, tag: str) -> Any:
    if tensor.numel() != 1:
        raise _not_a_scalar(tuple(tensor.shape), tag)
    _refuse_hollow(tensor, tag)
    if tensor.is_complex():
        raise _unsupported(tensor, tag, "give its real part or its magnitude")
    plain = _plain(tensor)
    if plain.device.type != "cpu":
        return _devices.defer_copy(plain)
    return float(plain)


def _torch_snapshot(tensor: Any, tag: str, *, copy: bool) -> Array:
    _refuse_hollow(tensor, tag)
    plain = _plain(tensor)
    if plain.device.type != "cpu":
        return _devices.defer_copy(plain)
    wide = _devices.widen(plain)
    shares_memory = wide is plain and plain.data_ptr() == tensor.data_ptr() if _is_dense(tensor) else False
    array: NDArray[Any] = wide.numpy()
    return array.copy() if copy and shares_memory else array


def _is_dense(tensor: Any) -> bool:
    return bool(tensor.layout is sys.modules["torch"].strided and not tensor.is_quantized)


def _plain(tensor: Any) -> Any:
    """Return the tensor detached and dense, its lazy conjugation and negation carried out."""
    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    elif plain.layout is not sys.modules["torch"].strided:
        plain = plain.to_dense()
    return plain.resolve_conj().resolve_neg()


def _refuse_hollow(tensor: Any, tag: str) -> None:
    hollow = tensor.device.type == "meta" or type(tensor).__name__ in {"FakeTensor", "FunctionalTensor"}
    if hollow:
        raise UnsupportedTypeError(
            f"{tag!r}: a {type(tensor).__name__} on device {tensor.device} has no values to log; "
            "log it after it is materialised"
        )


def _sequence_snapshot(value: Any, tag: str) -> Array:
    items = [to_numpy(snapshot(item, tag)) if is_torch_tensor(item) else item for item in value]
    try:
        array = np.array(items)
    except ValueError as error:
        raise _unsupported(value, tag, "give items of one shape") from error
    return _checked(array, tag, value)


def _checked(array: NDArray[Any], tag: str, value: Any) -> NDArray[Any]:
    if array.dtype.kind == "V" and array.dtype.names is None:  # ml_dtypes: jax's bfloat16 and float8
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiubcUS":
        raise _unsupported(value, tag, WANTED)
    return array


def _unsupported(value: Any, tag: str, wanted: str) -> UnsupportedTypeError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return UnsupportedTypeError(f"{tag!r}: got {shown} of type {type(value).__name__}; {wanted}")


def _not_a_scalar(shape: tuple[int, ...], tag: str) -> NotAScalarError:
    return NotAScalarError(
        f"scalar {tag!r}: got an array of shape {tuple(shape)}; give one element, for example its mean()"
    )
