"""The package grad-cam as a function: it returns the masks of a method, without side effects.

Lives here: finding the methods, calling one, and undoing its side effects. grad-cam replaces layers,
prints progress bars, and keeps activations and graphs. `_targets.undisturbed` undoes the rest.
Must not: draw. Runs on the caller's thread.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tblog._side_effects import random_states_kept
from tblog.adapters._hooks import Hooks
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError, shortened

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

LAYERLESS: Final = "FullGrad"  # it uses the biases of the whole model
MULTIPLYING: Final = "RefineCAM"  # one map, the product of its layers' maps
SECOND_ORDER: Final = "ShapleyCAM"  # it differentiates the gradients once more
OWN_TARGETS: Final = "FinerCAM"  # without targets it compares the predicted class with the next ones
_ALIASES: Final = {"gradcam++": "GradCAMPlusPlus", "kpcacam": "KPCA_CAM"}

ReshapeTransform: TypeAlias = "Callable[[torch.Tensor], torch.Tensor]"


def find_method(name: str) -> tuple[str, type[Any]]:
    """Return a method's name as grad-cam spells it, and its class.

    Raises:
        InvalidValueError: the installed version has no such method.
        MissingDependencyError: grad-cam is not installed.
    """
    try:
        with random_states_kept():  # importing scikit-learn's decompositions draws a random number
            import pytorch_grad_cam
    except ModuleNotFoundError:
        raise MissingDependencyError("grad-cam", "adapters", "class_activation_maps") from None
    known = {key: value for key, value in vars(pytorch_grad_cam).items() if _is_method(value)}
    by_lower = {key.lower(): key for key in known} | _ALIASES
    exact = by_lower.get(str(name).lower(), "")
    if exact not in known:
        near = [by_lower[key] for key in difflib.get_close_matches(str(name).lower(), by_lower, n=3)]
        listed = f"the nearest are {', '.join(near)}; all are" if near else "it has"
        raise InvalidValueError(
            f"grad-cam has no method {shortened(name)}; {listed} {', '.join(sorted(known))}"
        )
    return exact, known[exact]


def _is_method(value: object) -> bool:
    """Return whether a value is one of grad-cam's methods: a callable class made from a model and layers."""
    if not inspect.isclass(value) or not hasattr(value, "forward"):
        return False
    return list(inspect.signature(value).parameters)[:2] == ["model", "target_layers"]


def masks_of(
    cam_class: type[Any],
    model: nn.Module,
    layers: Sequence[nn.Module],
    inputs: torch.Tensor,
    targets: Sequence[Callable[[Any], torch.Tensor]] | None,
    transform: ReshapeTransform | None,
    options: Mapping[str, bool],
) -> NDArray[np.float32]:
    """Return grad-cam's masks, (N, H, W) from 0 to 1, and release everything that it keeps.

    Raises:
        InvalidValueError: the method lacks an option, or the score cannot be differentiated.
        InvalidTypeError: a part of the model passes no gradients back.
    """
    if cam_class.__name__ == SECOND_ORDER and transform is not None:
        raise InvalidValueError(
            f"{SECOND_ORDER} got a reshape_transform, which grad-cam ignores there; choose another method"
        )
    if "aug_smooth" in options and not hasattr(cam_class, "forward_augmentation_smoothing"):
        raise InvalidValueError(
            f"{cam_class.__name__} cannot smooth by augmentation; leave out aug_smooth=True"
        )
    arguments: dict[str, Any] = {} if transform is None else {"reshape_transform": transform}
    if "ablation_layer" in inspect.signature(cam_class).parameters:
        arguments["ablation_layer"] = _ablation_layer(tokens=transform is not None)
    with Hooks() as hooks:
        for layer in layers or _layers_with_bias(model):
            hooks.forward(
                layer, _require_gradient
            )  # before grad-cam's own hook, which takes None for a tensor
        return _masks(cam_class(model, list(layers), **arguments), model, inputs, targets, options)


def _masks(
    cam: Any,
    model: nn.Module,
    inputs: torch.Tensor,
    targets: Sequence[Callable[[Any], torch.Tensor]] | None,
    options: Mapping[str, bool],
) -> NDArray[np.float32]:
    one = inputs.new_ones((), requires_grad=True)
    if type(cam).__name__ == SECOND_ORDER and targets is not None:
        # The parameters have no gradients. If everything after the layer is linear, this factor gives the
        # gradient something to depend on, so that it can be differentiated (the result is 0).
        targets = [_scaled(target, one) for target in targets]
    try:
        with Hooks() as hooks:
            hooks.forward_pre(model, _differentiable)
            masks: NDArray[np.float32] = cam(inputs, targets, **options)
    except RuntimeError as error:
        if "not have been used in the graph" in str(error):
            raise _without_gradients() from error
        if "does not require grad" not in str(error):
            raise
        raise InvalidValueError(
            "The score of the target cannot be differentiated; give a function without detach(), argmax() or "
            "comparisons, and a model that does not run under no_grad"
        ) from error
    finally:
        inputs.grad = one.grad = None  # `one` refers to its own graph
        for part in (cam, getattr(cam, "base_cam", None), *getattr(cam, "base_cam_per_layer", ())):
            store = getattr(part, "activations_and_grads", None)
            if store is not None:  # the graph's hooks refer to these, which may refer to the graph
                store.activations, store.gradients = [], []
    return masks


def _layers_with_bias(model: nn.Module) -> list[nn.Module]:
    """Return the layers whose gradients FullGrad uses."""
    from torch import nn

    return [module for module in model.modules() if type(module) in {nn.Conv2d, nn.BatchNorm2d}]


def _require_gradient(_layer: nn.Module, _args: tuple[Any, ...], _kwargs: Any, output: Any) -> None:
    if getattr(output, "requires_grad", False):
        output.register_hook(_refuse_none)


def _refuse_none(gradient: torch.Tensor | None) -> None:
    if gradient is None:
        raise _without_gradients()


def _without_gradients() -> InvalidTypeError:
    return InvalidTypeError(
        "A part of the model passes no gradients back to the layer, like a dynamically quantized layer, but the method "
        'needs them; give the model in floating point, or a method without gradients, such as "ScoreCAM"'
    )


def _scaled(target: Callable[[Any], torch.Tensor], factor: torch.Tensor) -> Callable[[Any], torch.Tensor]:
    return lambda output: target(output) * factor


def _differentiable(_model: nn.Module, args: tuple[Any, ...], kwargs: Any) -> tuple[tuple[Any, ...], Any]:
    # SESS runs the model on parts of the input that have no gradients, and the parameters have none either.
    return tuple(given if given.requires_grad else given.detach().requires_grad_() for given in args), kwargs


def _ablation_layer(*, tokens: bool) -> Any:
    # A new layer each time: grad-cam's default is one shared object, which keeps the last activations.
    from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit

    return AblationLayerVit() if tokens else AblationLayer()


@contextmanager
def children_kept(model: nn.Module) -> Iterator[None]:
    """Restore the model's modules: AblationCAM replaces the layer while it works."""
    before = [(module._modules, dict(module._modules)) for module in model.modules()]  # noqa: SLF001  (no public setter)
    try:
        yield
    finally:
        for table, entries in before:
            if dict(table.items()) != entries:
                table.clear()
                table.update(entries)


@contextmanager
def progress_bars(*, shown: bool) -> Iterator[None]:
    """Keep grad-cam's methods from printing progress bars, unless these are wanted."""
    from pytorch_grad_cam import ablation_cam, score_cam

    modules = [] if shown else [ablation_cam, score_cam]
    before = [module.tqdm for module in modules]
    for module in modules:
        module.tqdm = SimpleNamespace(tqdm=iter)
    try:
        yield
    finally:
        for module, tqdm in zip(modules, before, strict=True):
            module.tqdm = tqdm
