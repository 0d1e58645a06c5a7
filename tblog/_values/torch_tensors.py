"""Converts torch tensors of any layout, dtype and device to numbers and numpy arrays.

Lives here: the single copy of a CPU tensor into memory owned by numpy, and the rejected tensors.
Must not: import torch (if there is a tensor, torch is loaded), wait for a GPU that can copy asynchronously.
Runs on the caller's thread.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tblog._values import devices
from tblog.errors import NotAScalarError, UnsupportedTypeError, reason, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from tblog.records import Array


_NUMPY_HAS = frozenset(
    [
        *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    ]
)


_VALUELESS = frozenset(["FakeTensor", "FunctionalTensor", "UninitializedParameter", "UninitializedBuffer"])


def is_torch_tensor(value: Any) -> bool:
    """Return whether a value is a torch tensor, without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, "Tensor", ()))


def is_shareable(tensor: Any) -> bool:
    """Return whether a tensor is one real number on a GPU that can share its copy with others of its dtype."""
    return bool(
        devices.is_deferrable(tensor)
        and is_ordinary(tensor)
        and tensor.numel() == 1
        and not tensor.is_complex()
        and _has_numbers(tensor.dtype)
    )


def is_ordinary(tensor: Any) -> bool:
    """Return whether a tensor is a single plain array, not a DTensor, nested or masked tensor."""
    dispatch = sys.modules["torch"].Tensor.__torch_dispatch__
    return type(tensor).__torch_dispatch__ is dispatch and not tensor.is_nested


def together(values: Sequence[Any]) -> Any:
    """Return plain tensors of one shape and dtype as one tensor, to copy them at once, or None for others."""
    if not values or not is_torch_tensor(values[0]):  # another thread may be importing torch
        return None
    torch = sys.modules["torch"]
    if not {type(value) for value in values} <= {torch.Tensor, torch.nn.Parameter}:
        return None
    if len({value.dtype for value in values}) > 1:
        return None
    try:
        with torch.no_grad():
            return torch.stack(tuple(values))
    except RuntimeError:  # their shapes, layouts or devices differ
        return None


def is_masked_tensor(value: Any) -> bool:
    """Return whether a value is a tensor of `torch.masked`."""
    return type(value).__name__ == "MaskedTensor" and is_torch_tensor(value)


def masked_array(tensor: Any) -> np.ma.MaskedArray[Any, Any]:
    """Return a `torch.masked.MaskedTensor`, whose mask marks valid elements, as a numpy masked array."""
    data, counts = (_plain(part).cpu().numpy() for part in (tensor.get_data(), tensor.get_mask()))
    return np.ma.masked_array(data, ~counts)


def torch_dtype_name(value: Any) -> str | None:
    """Return the name of a torch dtype that numpy lacks ("bfloat16"), or None."""
    if not is_torch_tensor(value):
        return None
    name = str(value.dtype).removeprefix("torch.")
    return name if name == "bfloat16" or name.startswith("float8") else None


def torch_scalar(tensor: Any, tag: str) -> Any:
    """Return the only element of a tensor as a float, or as a `Deferred` while it is on a GPU.

    Raises:
        UnsupportedTypeError: it is not a real number.
        NotAScalarError: it has no elements, or more than one.
    """
    whole = _whole(tensor, tag)
    _refuse_valueless(whole, tag)
    if whole.numel() != 1:
        raise not_a_scalar(tuple(whole.shape), tag)
    if whole.is_complex():
        raise UnsupportedTypeError(
            f"{tag!r}: got {shortened(whole)} of type {type(tensor).__name__}; give its real part or its magnitude"
        )
    _refuse_unreadable(whole, tag)
    try:
        plain = _plain(whole)
        return devices.defer_copy(plain) if devices.is_deferrable(plain) else float(plain)
    except (TypeError, ValueError, RuntimeError) as error:
        if whole.device.type != "cpu":  # it may be of an earlier operation
            raise
        raise _unreadable(error, whole, tag) from error


def torch_snapshot(tensor: Any, tag: str, *, copy: bool) -> Array:
    """Return a copy of a tensor's values. For a tensor on a GPU, the copy may be pending.

    Args:
        tensor: a tensor of any shape.
        tag: the tag to name in errors.
        copy: False uses the caller's memory if possible.

    Raises:
        UnsupportedTypeError: the values cannot be read.
    """
    whole = _whole(tensor, tag)
    _refuse_unreadable(whole, tag)
    try:
        plain = _plain(whole)
        if devices.is_deferrable(plain):
            return devices.defer_copy(plain)
        is_callers = _is_dense(whole) and plain.data_ptr() == whole.data_ptr()
        return _to_numpy(plain.cpu(), copy=copy or not is_callers)
    except (TypeError, ValueError, RuntimeError) as error:
        if whole.device.type != "cpu":  # it may be of an earlier operation
            raise
        raise _unreadable(error, whole, tag) from error


def outline(value: Any) -> Any:
    """Return a value without its numbers, where reading them is a copy from a device: enough to check it."""
    if is_torch_tensor(value) and devices.is_deferrable(value) and is_ordinary(value):
        return sys.modules["torch"].zeros((), dtype=value.dtype).expand(value.shape)
    return value


def not_a_scalar(shape: tuple[int, ...], tag: str) -> NotAScalarError:
    """Return the error for an array that is not a single number."""
    return NotAScalarError(
        f"{tag!r}: got an array of shape {tuple(shape)}; give one element, for example its mean()"
    )


def _to_numpy(plain: Any, *, copy: bool) -> NDArray[Any]:
    """Return a dense tensor's values. A copy is in memory owned by numpy.

    The worker would free torch's memory. If the interpreter ends at that moment, the process aborts.
    """
    if devices.is_widened(plain.dtype):
        wide = np.empty(tuple(plain.shape), np.float32)
        sys.modules["torch"].from_numpy(wide).copy_(plain)
        return wide
    array: NDArray[Any] = plain.numpy()
    return array.copy() if copy else array


def _whole(tensor: Any, tag: str) -> Any:
    """Return a tensor that this process holds completely. A DTensor may be one."""
    if tensor.is_nested:
        raise UnsupportedTypeError(
            f"{tag!r}: got a nested tensor, whose rows differ in length; log them one by one, or all their "
            "numbers: tensor.values()"
        )
    placements = getattr(tensor, "placements", None)
    if placements is None or not hasattr(tensor, "to_local"):
        return tensor
    if all(placement.is_replicate() for placement in placements):
        return tensor.to_local()
    raise UnsupportedTypeError(
        f"{tag!r}: got a DTensor with the placements {placements}, of which this process has only a part; give "
        "tensor.to_local(), that part, or call tensor.full_tensor() in all processes"
    )


def _refuse_valueless(tensor: Any, tag: str) -> None:
    kind = type(tensor).__name__
    if tensor.device.type == "meta" or kind in _VALUELESS:
        raise UnsupportedTypeError(
            f"{tag!r}: a {kind} on device {tensor.device} has no values to log; log it after it is materialised"
        )


def _refuse_unreadable(tensor: Any, tag: str) -> None:
    _refuse_valueless(tensor, tag)
    kind = type(tensor).__name__
    if not (_has_numbers(tensor.dtype) or tensor.is_quantized):
        raise UnsupportedTypeError(
            f"{tag!r}: got a {kind} of dtype {tensor.dtype}, which numpy lacks; give it as another dtype"
        )


def _has_numbers(dtype: Any) -> bool:
    return str(dtype).removeprefix("torch.") in _NUMPY_HAS or devices.is_widened(dtype)


def _unreadable(error: Exception, tensor: Any, tag: str) -> UnsupportedTypeError:
    return UnsupportedTypeError(
        f"{tag!r}: got a {type(tensor).__name__} of dtype {tensor.dtype} that torch cannot read ({reason(error)}); "
        "give a plain tensor"
    )


def _is_dense(tensor: Any) -> bool:
    return bool(tensor.layout is sys.modules["torch"].strided and not tensor.is_quantized)


def _plain(tensor: Any) -> Any:
    """Return the tensor detached and dense, with lazy conjugation and negation resolved."""
    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    elif plain.layout is not sys.modules["torch"].strided:
        plain = plain.to_dense()
    return plain.resolve_conj().resolve_neg()
