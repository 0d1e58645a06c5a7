"""The model as a table: layers, shapes, parameters and operations, counted by torchinfo.

    writer.add_records(model_summary(model, input_size=(1, 3, 224, 224)))

Runs on the caller's thread. It costs a forward pass, so call it once per training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from tblog.adapters._layers import require_module
from tblog.adapters._model_state import model_state_kept
from tblog.adapters._tables import INDENT, table
from tblog.errors import InvalidValueError, MissingDependencyError, shortened
from tblog.records import HparamsRecord, Record, ScalarRecord, TextRecord

if TYPE_CHECKING:
    import torch
    from torch import nn

# torchinfo's names of the columns, and their titles.
_TITLES: Final = {
    "input_size": "Input shape",
    "output_size": "Output shape",
    "kernel_size": "Kernel",
    "num_params": "Parameters",
    "params_percent": "Share",
    "mult_adds": "Mult-adds",
    "trainable": "Trainable",
}
_NUMBERS: Final = {"num_params", "params_percent", "mult_adds"}
_NEED_INPUT: Final = {"input_size", "output_size", "mult_adds"}


def model_summary(
    model: nn.Module,
    input_size: Sequence[Any] | None = None,
    input_data: Any = None,
    depth: int = 3,
    columns: Sequence[str] | None = None,
    *,
    dtypes: Sequence[torch.dtype] | None = None,
    mode: Literal["eval", "train"] = "eval",
    scalars: bool = True,
    hparams: bool = False,
    tag: str = "model_summary",
    **forward_arguments: Any,
) -> list[Record]:
    """Return a Markdown table of a model's layers, and its totals as scalars.

    The model runs once, on its own device, without gradients and on copies of its buffers. Nothing is printed.
    The model and the random state stay as they were.

    Args:
        model: the model.
        input_size: the shape of the input with the batch, (1, 3, 224, 224), or a list of shapes. The
            input is then a tensor of ones with the dtype of the parameters.
        input_data: the input itself: a tensor, a sequence of positional arguments or a mapping of keyword
            arguments. Without `input_size` and `input_data`, the model does not run, and the table has no
            shapes.
        depth: the deepest level of nested layers with rows of their own. 1 means the model's children.
        columns: any of "input_size", "output_size", "kernel_size", "num_params", "params_percent",
            "mult_adds" and "trainable", in any order. None means "output_size", "num_params" and
            "mult_adds", or without an input "num_params" and "trainable".
        dtypes: the dtypes of the inputs in `input_size`, such as `torch.long` for token ids.
        mode: the mode in which the model runs.
        scalars: whether to add `<tag>/parameters`, `/trainable_parameters` and, with an input, `/mult_adds`,
            `/input_megabytes`, `/forward_backward_megabytes`, `/parameter_megabytes` and
            `/total_megabytes` (10^6 bytes) as scalars. The format stores them as float32.
        hparams: whether to add the same totals as hyperparameters, to compare runs on the HParams page.
        tag: the tag of the text, and the first part of the other tags.
        **forward_arguments: more keyword arguments of `model.forward`.

    Raises:
        InvalidValueError: an argument does not fit, or the forward pass failed.
        MissingDependencyError: torchinfo is not installed.

    Example:
        >>> import torch
        >>> from tblog.adapters.model_summary import model_summary
        >>> records = model_summary(torch.nn.Linear(4, 2), input_size=(1, 4))
        >>> [(record.tag, record.value) for record in records[1:3]]
        [('model_summary/parameters', 10.0), ('model_summary/trainable_parameters', 10.0)]
    """
    require_module(model)
    if input_size is not None and input_data is not None:
        raise InvalidValueError("model_summary: got both input_size and input_data; give one of them")
    if depth < 0:
        raise InvalidValueError(f"model_summary: depth was {depth}; give 0 (the model alone) or more")
    if mode not in {"eval", "train"}:
        raise InvalidValueError(f'model_summary: mode was {shortened(mode)}; give "eval" or "train"')
    runs = input_size is not None or input_data is not None
    columns = _checked_columns(columns, runs=runs)
    if input_size is not None:
        input_data = _ones(model, input_size, dtypes)
    if isinstance(input_data, Mapping):
        input_data = dict(input_data)  # torchinfo accepts only a dict, not a tokenizer's mapping
    with model_state_kept(model):
        statistics = _statistics(model, input_data, mode, forward_arguments)
    totals = _totals(statistics, _bytes_of(input_data) if runs else None)
    records: list[Record] = [TextRecord(tag=tag, text=_markdown(statistics, totals, depth, columns))]
    if scalars:
        records += [ScalarRecord(tag=f"{tag}/{name}", value=float(total)) for name, total in totals.items()]
    if hparams:
        records.append(HparamsRecord(hparams={f"{tag}/{name}": total for name, total in totals.items()}))
    return records


def _checked_columns(columns: Sequence[str] | None, *, runs: bool) -> Sequence[str]:
    if columns is None:
        return ("output_size", "num_params", "mult_adds") if runs else ("num_params", "trainable")
    unknown = [column for column in columns if column not in _TITLES]
    if unknown:
        raise InvalidValueError(
            f"model_summary: there is no column {shortened(unknown[0])}; give some of {', '.join(_TITLES)}"
        )
    hollow = [column for column in columns if column in _NEED_INPUT]
    if hollow and not runs:
        raise InvalidValueError(
            f"model_summary: the column {hollow[0]!r} needs a forward pass; give input_size or input_data"
        )
    return columns


def _ones(
    model: nn.Module, input_size: Sequence[Any], dtypes: Sequence[torch.dtype] | None
) -> list[torch.Tensor]:
    # Made here, because torchinfo would move a CPU model to a GPU if there is one.
    import torch

    shapes = [input_size] if all(isinstance(side, int) for side in input_size) else list(input_size)
    like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0, device="cpu"))
    dtypes = [like.dtype] * len(shapes) if dtypes is None else dtypes
    if len(dtypes) != len(shapes) or not all(shapes):
        raise InvalidValueError(
            f"model_summary: input_size was {shortened(input_size)} with {len(dtypes)} dtypes; "
            "give a shape such as (1, 3, 224, 224), or a list of shapes, and as many dtypes"
        )
    return [
        torch.ones(tuple(shape), dtype=dtype, device=like.device)
        for shape, dtype in zip(shapes, dtypes, strict=True)
    ]


def _statistics(model: nn.Module, input_data: Any, mode: str, forward_arguments: dict[str, Any]) -> Any:
    try:
        import torchinfo
        from torchinfo import torchinfo as internals
    except ImportError:
        raise MissingDependencyError("torchinfo", "adapters", "model_summary") from None
    try:
        return torchinfo.summary(
            model, input_data=input_data, mode=mode, verbose=0, col_names=("num_params",), **forward_arguments
        )
    except RuntimeError as error:
        reason = error.__cause__ or error
        raise InvalidValueError(
            f"model_summary: the forward pass of {type(model).__name__} failed on {_shapes_of(input_data)}: "
            f"{reason}; give an input_size or input_data that its forward() takes"
        ) from reason
    finally:
        # torchinfo caches each model's layers unasked, which would keep the model alive.
        internals._cached_forward_pass.pop(type(model).__name__, None)  # noqa: SLF001  (no public way for one model)


def _totals(statistics: Any, input_bytes: int | None) -> dict[str, int | float]:
    totals: dict[str, int | float] = {
        "parameters": statistics.total_params,
        "trainable_parameters": statistics.trainable_params,
    }
    if input_bytes is not None:
        activations, parameters = statistics.total_output_bytes, statistics.total_param_bytes
        totals |= {
            "mult_adds": statistics.total_mult_adds,
            "input_megabytes": input_bytes / 1e6,
            "forward_backward_megabytes": activations / 1e6,
            "parameter_megabytes": parameters / 1e6,
            "total_megabytes": (input_bytes + activations + parameters) / 1e6,
        }
    return totals


def _markdown(statistics: Any, totals: Mapping[str, int | float], depth: int, columns: Sequence[str]) -> str:
    titles = ["Layer", "Type", *(_TITLES[column] for column in columns)]
    rows = [
        _cells(layer, statistics.total_params, depth, columns)
        for layer in statistics.summary_list
        if layer.depth <= depth
    ]
    numbers = {index for index, column in enumerate(columns, start=2) if column in _NUMBERS}
    return f"{_in_words(totals)}\n\n{table(titles, rows, numbers)}"


def _in_words(totals: Mapping[str, int | float]) -> str:
    words = f"**{totals['parameters']:,}** parameters, {totals['trainable_parameters']:,} of them trainable"
    if "mult_adds" not in totals:
        return words
    sizes = ", ".join(
        f"{name.removesuffix('_megabytes').replace('_', '/')} {total:,.2f}"
        for name, total in totals.items()
        if name.endswith("_megabytes")
    )
    return f"{words}; **{totals['mult_adds']:,}** mult-adds\n\nMegabytes: {sizes}"


def _cells(layer: Any, total_params: int, depth: int, columns: Sequence[str]) -> list[str]:
    deepest = layer.depth == depth
    shown = {
        "input_size": _shape(layer.input_size),
        "output_size": _shape(layer.output_size),
        "kernel_size": _shape(layer.kernel_size),
        "num_params": layer.num_params_to_str(deepest),
        "params_percent": layer.params_percent(total_params, deepest).strip(),
        "mult_adds": layer.macs_to_str(deepest),
        "trainable": layer.trainable,
    }
    name = INDENT * max(layer.depth - 1, 0) + f"`{_path(layer) or layer.class_name}`"
    return [name, layer.class_name, *("" if shown[column] == "--" else shown[column] for column in columns)]


def _path(layer: Any) -> str:
    names = []
    while layer is not None and layer.depth > 0:
        names.append(layer.var_name)
        layer = layer.parent_info
    return ".".join(reversed(names))


def _shape(sizes: Any) -> str:
    sizes = sizes if isinstance(sizes, (list, tuple)) else [sizes] if sizes else []
    return " x ".join(map(str, sizes))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if hasattr(value, "element_size"):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _bytes_of(value: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in _tensors(value))


def _shapes_of(value: Any) -> str:
    return ", ".join(str(tuple(tensor.shape)) for tensor in _tensors(value)) or "no input"
