"""Checks that hold for any model's graph, however it was read."""

from __future__ import annotations

from typing import Any

import torch

from tblog.graph._graph import Graph
from tblog.graph._structures import tensors_in


def assert_sound(graph: Graph) -> None:
    """Names are unique and every edge begins at an output of an earlier node: no cycle and no loose end."""
    outputs: dict[str, int] = {}
    for node in graph.nodes:
        assert node.name not in outputs, node.name
        for edge in node.inputs:
            name, _, index = edge.removeprefix("^").partition(":")
            assert name in outputs, f"{node.name} reads {edge}, which does not come before it"
            assert edge.startswith("^") or int(index or 0) < outputs[name], f"{node.name} reads {edge}"
        outputs[node.name] = len(node.outputs)


def assert_shows_what_ran(graph: Graph, model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
    """Every module that ran appears with its shapes, and every parameter that was read is counted once."""
    ran, read = _run(model, args, kwargs)
    places: dict[torch.nn.Module, list[str]] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        places.setdefault(module, []).append(path)
    shown: dict[str, set[Any]] = {}
    for node in graph.nodes:
        path = str(node.attributes.get("path", ""))
        shown.setdefault(path, set()).update(type_.shape for type_ in node.outputs)
        while path:
            path = path.rpartition(".")[0]
            shown.setdefault(path, set())
    for module, shapes in ran.items():
        assert any(path in shown for path in places[module]), f"{places[module]} ran and is not in the graph"
        if not list(module.children()):
            assert shapes <= set().union(*[shown.get(path, set()) for path in places[module]]), places[module]
    assert sum(int(node.attributes.get("parameters", 0)) for node in graph.nodes) == sum(read.values())
    total = sum(parameter.numel() for parameter in model.parameters())
    ends = [node for node in graph.nodes if node.op in {"input", "output"}]
    assert {node.attributes["model_parameters"] for node in ends} == {total}


def _run(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[torch.nn.Module, set[tuple[int, ...]]], dict[int, int]]:
    """Run a model in eval mode.

    Returns:
        The modules that ran, each with the shapes of its output tensors; and the sizes of the parameters that
        were read: those of these modules, and those on which the result depends.
    """
    ran: dict[torch.nn.Module, set[tuple[int, ...]]] = {}
    modes = {module: module.training for module in model.modules()}

    def note(module: torch.nn.Module, _: object, output: object) -> None:
        shapes = ran.setdefault(module, set())
        if isinstance(output, torch.Tensor):
            shapes.add(tuple(output.shape))

    hooks = [module.register_forward_hook(note) for module in modes]
    try:
        model.eval()
        results = [tensor for _, tensor in tensors_in(model(*args, **kwargs)) if tensor.requires_grad]
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = (
        torch.autograd.grad([result.sum() for result in results], parameters, allow_unused=True)
        if results
        else [None] * len(parameters)
    )
    read = {id(one) for one, gradient in zip(parameters, gradients, strict=True) if gradient is not None}
    read |= {id(parameter) for module in ran for parameter in module.parameters(recurse=False)}
    return ran, {
        id(parameter): parameter.numel() for parameter in model.parameters() if id(parameter) in read
    }
