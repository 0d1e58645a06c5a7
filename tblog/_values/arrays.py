"""Makes snapshots of anything array-like, which the worker can read.

Lives here: the accepted types (torch, numpy, jax, Python numbers, anything with `__array__` or
DLPack), the single copy of a snapshot, the treatment of masked elements.
Must not: build messages, touch files, import torch (if there is a tensor, torch is loaded).
Runs on the caller's thread, except for `to_numpy`, which the worker calls.

The contract, tested in tests/test_contract.py:

Snapshot: a record has the value at the time of the call, whatever happens to the array later. A call does not wait
for a tensor on a GPU: `tblog._values.devices` copies it on its stream.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from tblog._values import devices
from tblog._values.torch_tensors import (
    is_masked_tensor,
    is_shareable,
    is_torch_tensor,
    masked_array,
    not_a_scalar,
    together,
    torch_scalar,
    torch_snapshot,
)
from tblog.errors import UnsupportedTypeError, reason, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from tblog.records import Array

Masked: TypeAlias = Literal["nan", "zero", "left out"]

_MOST_DIMENSIONS = 64  # of a numpy array
WANTED = "give a number, a numpy array, a torch or jax tensor, or anything with __array__ or __dlpack__"


def quick_tensor(tensor: Any) -> float:
    """Read the only element of a CPU tensor, which `item` checks. A tensor elsewhere raises KeyError."""
    if tensor.is_cpu:
        value = tensor.item()
        if type(value) is not complex:
            return float(value)
    raise KeyError


QUICK_NUMBERS: dict[type, Callable[[Any], float]] = dict.fromkeys(
    (int, bool, np.float64, np.float32, np.float16, np.int64, np.int32), float
)
"""Types whose number is read at once. torch's types are added at its first tensor.

The functions raise KeyError, OverflowError or RuntimeError if `scalar` has to examine the value further.
"""


def to_numpy(array: Array | Any) -> NDArray[Any]:
    """Return an array of a record as a numpy array. A deferred array is made now."""
    return array if isinstance(array, np.ndarray) else array.numpy()


def scalar(value: Any, tag: str) -> Any:
    """Return one number as a float, or as a `Deferred` with `__float__` while it is on a GPU.

    Raises:
        UnsupportedTypeError: the value is not a real number.
        NotAScalarError: it has no elements, or more than one.
    """
    if isinstance(value, (bool, int, float, np.integer, np.floating, np.bool_)):
        return _to_float(value, tag)
    if _is_masked_array(value) or is_masked_tensor(value):
        return _masked_scalar(value, tag)
    if isinstance(value, devices.DeferredTensor):
        return value  # an adapter's number, whose copy has already started
    if isinstance(value, (str, bytes, list, tuple, dict, set)) or value is None:
        raise _unsupported(value, tag, "give one number")
    if is_torch_tensor(value):
        torch = sys.modules["torch"]
        if type(value) in {torch.Tensor, torch.nn.Parameter}:
            QUICK_NUMBERS[type(value)] = quick_tensor
        return torch_scalar(value, tag)
    array = _foreign_array(value, tag)
    if array is not None:
        return _numpy_scalar(_checked(array, tag, value), tag)
    return _to_float(value, tag)


def scalars(values: Sequence[Any], tags: Sequence[str]) -> tuple[Any, ...]:
    """Return numbers as `scalar` does. Those of one GPU and dtype share one copy.

    Raises:
        The errors of `scalar`.
    """
    groups: dict[Any, list[int]] = {}
    for index, value in enumerate(values):
        if is_torch_tensor(value) and is_shareable(value):
            groups.setdefault((value.device, value.dtype), []).append(index)
    shared: dict[int, Any] = {}
    for indices in groups.values():
        shared.update(zip(indices, devices.defer_together([values[index] for index in indices]), strict=True))
    return tuple(
        shared[index] if index in shared else scalar(value, tags[index]) for index, value in enumerate(values)
    )


def snapshot(value: Any, tag: str, *, copy: bool = True, masked: Masked = "nan") -> Array:
    """Return an array that nothing changes any more, with at most one copy.

    Args:
        value: anything array-like, of any shape.
        tag: the tag to name in errors.
        copy: False uses the caller's memory if possible.
        masked: the treatment of masked elements: "nan" and "zero" replace them, "left out" returns the
            others as a 1-d array.

    Raises:
        UnsupportedTypeError: the value has no numbers, or its dtype has no NaN for a masked element.
    """
    if _is_masked_array(value) or is_masked_tensor(value):
        return _masked_snapshot(value, tag, masked, copy=copy)
    if isinstance(value, np.ndarray):
        # A plain array, even if the value is of a subclass.
        return _checked(np.array(value, order="C") if copy else np.asarray(value), tag, value)
    if is_torch_tensor(value):
        return torch_snapshot(value, tag, copy=copy)
    if isinstance(value, (bool, int, float, complex, np.generic)):
        return _checked(np.asarray(value), tag, value)
    if isinstance(value, (list, tuple)):
        return _sequence_snapshot(value, tag, masked)
    return _foreign_snapshot(value, tag, copy=copy)


def _is_masked_array(value: Any) -> bool:
    """Return whether a value is numpy's masked array. A plain array does not import `numpy.ma` for that."""
    return (
        isinstance(value, np.ndarray)
        and type(value) is not np.ndarray
        and isinstance(value, np.ma.MaskedArray)
    )


def _to_float(value: Any, tag: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        what = f"an integer of {value.bit_length()} bits" if isinstance(value, int) else shortened(value)
        raise UnsupportedTypeError(f"{tag!r}: {what} is beyond float64; log its logarithm") from error
    except Exception as error:  # the value's own __float__ raised it
        raise _unsupported(value, tag, "give one number") from error


def _numpy_scalar(array: Any, tag: str) -> float:
    if array.size != 1:
        raise not_a_scalar(array.shape, tag)
    if array.dtype.kind not in "fiub":
        raise _unsupported(array, tag, "give one real number")
    return float(array.reshape(())[()])


def _masked_scalar(value: Any, tag: str) -> float:
    """Return NaN for a masked element, as both originals do."""
    array = value if _is_masked_array(value) else masked_array(value)
    number = _numpy_scalar(np.asarray(array.data), tag)
    return math.nan if np.ma.is_masked(array) else number


def _masked_snapshot(value: Any, tag: str, masked: Masked, *, copy: bool) -> NDArray[Any]:
    array = value if _is_masked_array(value) else masked_array(value)
    data = _checked(np.asarray(array.data), tag, array)
    if masked == "left out":
        return np.asarray(array.compressed())
    if not np.ma.is_masked(array):
        return data.copy() if copy else data
    if masked == "zero":
        return np.asarray(array.filled(0))
    if data.dtype.kind not in "fc":
        raise UnsupportedTypeError(
            f"{tag!r}: got a masked array of dtype {data.dtype}, which has no NaN for masked elements; "
            "give array.astype(float), or array.filled(...)"
        )
    return np.asarray(array.filled(np.nan))


def _foreign_snapshot(value: Any, tag: str, *, copy: bool) -> NDArray[Any]:
    array = _foreign_array(value, tag)
    if array is None:
        raise _unsupported(value, tag, WANTED)
    return _checked(array.copy() if copy else array, tag, value)


def _foreign_array(value: Any, tag: str) -> NDArray[Any] | None:
    """Return what another package's array hands to numpy, None where it speaks no protocol.

    Raises:
        UnsupportedTypeError: its method raised: it was deleted, for one, or lies on a device.
    """
    try:
        if hasattr(value, "__array__"):
            return np.asarray(value)
        return np.from_dlpack(value) if hasattr(value, "__dlpack__") else None
    except Exception as error:
        raise UnsupportedTypeError(
            f"{tag!r}: got a {type(value).__name__} that numpy cannot read ({reason(error)}); give its values as a "
            "numpy array"
        ) from error


def _sequence_snapshot(value: Any, tag: str, masked: Masked) -> Array:
    stacked = together(value)
    if stacked is not None:
        return torch_snapshot(stacked, tag, copy=True)
    items = [_item(item, tag) if _holds_tensors(item) else item for item in value]
    try:
        if any(_is_masked_array(item) for item in items):
            return _masked_snapshot(np.ma.array(items), tag, masked, copy=False)
        array = np.array(items)
    except UnsupportedTypeError:
        raise
    except Exception as error:  # they differ in shape, or one raised it
        raise _unsupported(value, tag, "give items of one shape") from error
    return _checked(array, tag, value)


def _holds_tensors(item: Any) -> bool:
    """Return whether an item is a tensor, or a list, of lists perhaps, that begins with one."""
    for _ in range(_MOST_DIMENSIONS):
        if not (isinstance(item, (list, tuple)) and item):
            break
        item = item[0]
    return is_torch_tensor(item)


def _item(item: Any, tag: str) -> NDArray[Any]:
    return masked_array(item) if is_masked_tensor(item) else to_numpy(snapshot(item, tag, copy=False))


def _checked(array: NDArray[Any], tag: str, value: Any) -> NDArray[Any]:
    if array.dtype.kind == "V" and array.dtype.type is not np.void:  # ml_dtypes: jax's bfloat16 and float8
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiubcUS":
        known = isinstance(value, np.ndarray)
        raise _unsupported(
            value, tag, f"it has dtype {array.dtype}: give array.astype(float)" if known else WANTED
        )
    return array


def _unsupported(value: Any, tag: str, wanted: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(f"{tag!r}: got {shortened(value)} of type {type(value).__name__}; {wanted}")
