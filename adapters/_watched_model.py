"""The watched parts of a model: parameters, the layers that own them, and modules with outputs.

Runs on the caller's thread, once for each watch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tblog.adapters._layer_report import Layer
from tblog.adapters._layers import Layers, display_name, find_layers, require_module
from tblog.adapters._model_state import require_initialized
from tblog.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from torch import nn


class WatchedParts(NamedTuple):
    """The watched parts of a model.

    Attributes:
        parameters: the parameters by name.
        owners: the name of the layer that owns a parameter, by the parameter's name.
        outputs: the modules whose outputs are watched, by name.
        layers: all layers with parameters or outputs, in the model's order.
    """

    parameters: Mapping[str, nn.Parameter]
    owners: Mapping[str, str]
    outputs: Mapping[str, nn.Module]
    layers: Sequence[Layer]


def watched_parts(model: nn.Module, layers: Layers | None) -> WatchedParts:
    """Find the parts to watch for these layers. None means all layers.

    Raises:
        InvalidTypeError: `model` is not a module, or it replaces its parameters during a step.
        InvalidValueError: a layer is not found or has lazy modules that never ran, or no parameter of the layers
            requires a gradient.
    """
    require_module(model)
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise InvalidTypeError(
            "ParameterWatch: the model contains a FullyShardedDataParallel, which replaces the parameters "
            "during a step, so they cannot be watched; shard it by torch.distributed.fsdp.fully_shard"
        )
    if layers is None:
        require_initialized(model)
        outputs = {path: module for path, module in model.named_modules() if not any(module.children())}
        parameters = dict(model.named_parameters())
    else:
        outputs = find_layers(model, layers)
        for module in outputs.values():
            require_initialized(module)
        ids = {id(parameter) for module in outputs.values() for parameter in module.parameters()}
        parameters = {name: each for name, each in model.named_parameters() if id(each) in ids}
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise InvalidValueError(
            "ParameterWatch: none of the watched parameters requires a gradient; choose other layers, "
            "or call requires_grad_() on the trained ones first"
        )
    owners = {name: name.rpartition(".")[0] for name in parameters}
    trained = {owners[name] for name, parameter in parameters.items() if parameter.requires_grad}
    owning = set(owners.values())
    found = [
        Layer(display_name(model, path), type(module).__name__, path in owning, path in trained)
        for path, module in model.named_modules(remove_duplicate=False)
        if path in owning or path in outputs
    ]
    return WatchedParts(
        parameters=parameters,
        owners={name: display_name(model, path) for name, path in owners.items()},
        outputs={display_name(model, path): module for path, module in outputs.items()},
        layers=found,
    )
