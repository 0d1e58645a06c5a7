"""One step with each adapter, and the tutorial's way to the same picture.

A way is made once and then called with a writer and a step. Ours uses `tblog.adapters`; the
tutorial's uses a hook or a loop, a matplotlib figure and `add_figure`, or torch's own calls.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

Way = Callable[[Any, int], None]

LAYER = "layer1.0.conv1"
_CLASS = 3


class Scene:
    """A ResNet-18 and a batch of pictures, the same for all ways."""

    def __init__(self) -> None:
        import torch
        from torchvision import models

        torch.manual_seed(0)
        torch.set_num_threads(1)
        self.model: Any = models.resnet18(weights=None, num_classes=10).eval()
        self.images = torch.rand(2, 3, 64, 64)
        self.model(self.images).sum().backward()

    def forward(self) -> None:
        """Run the model, as a training step does anyway."""
        self.model(self.images)


def feature_maps(scene: Scene) -> Way:
    """Show the 64 maps of one layer, captured in the step's own forward pass."""
    from tblog.adapters.feature_maps import FeatureMaps

    def way(writer: Any, step: int) -> None:
        with FeatureMaps(scene.model, [LAYER]) as maps:
            scene.forward()
        writer.add_records(maps.records(), step)

    return way


def feature_maps_by_hand(scene: Scene) -> Way:
    """Keep the layer's output by a hook, and draw each map as a subplot."""

    def way(writer: Any, step: int) -> None:
        kept: list[Any] = []
        handle = scene.model.get_submodule(LAYER).register_forward_hook(lambda *call: kept.append(call[2]))
        scene.forward()
        handle.remove()
        writer.add_figure("feature_maps", _subplots(kept[0][0].detach().numpy(), "viridis"), step)

    return way


def conv_kernels(scene: Scene) -> Way:
    """Show the kernels of one layer."""
    from tblog.adapters.conv_kernels import conv_kernels as records_of

    def way(writer: Any, step: int) -> None:
        writer.add_records(records_of(scene.model, [LAYER], channels=1), step)

    return way


def conv_kernels_by_hand(scene: Scene) -> Way:
    """Draw each kernel as a subplot."""

    def way(writer: Any, step: int) -> None:
        weight = scene.model.get_submodule(LAYER).weight.detach().numpy()
        writer.add_figure("conv_kernels", _subplots(weight[:, 0], "bwr"), step)

    return way


def class_activation_maps(scene: Scene) -> Way:
    """Show where the model looks for a class."""
    from tblog.adapters.cam import class_activation_maps as records_of

    def way(writer: Any, step: int) -> None:
        writer.add_records(records_of(scene.model, scene.images, ["layer4"], targets=_CLASS), step)

    return way


def class_activation_maps_by_hand(scene: Scene) -> Way:
    """Overlay grad-cam's masks and draw them as subplots."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    def way(writer: Any, step: int) -> None:
        with GradCAM(model=scene.model, target_layers=[scene.model.layer4]) as cam:
            masks = cam(
                input_tensor=scene.images, targets=[ClassifierOutputTarget(_CLASS)] * len(scene.images)
            )
        pictures = scene.images.permute(0, 2, 3, 1).numpy()
        shown = [show_cam_on_image(p, m, use_rgb=True) for p, m in zip(pictures, masks, strict=True)]
        writer.add_figure("cam", _subplots(shown, None), step)

    return way


def saliency_maps(scene: Scene) -> Way:
    """Show which pixels decide a class."""
    from tblog.adapters.saliency import saliency_maps as records_of

    def way(writer: Any, step: int) -> None:
        writer.add_records(records_of(scene.model, scene.images, targets=_CLASS), step)

    return way


def saliency_maps_by_hand(scene: Scene) -> Way:
    """Take the gradient at the input and draw its largest channel."""
    import torch

    def way(writer: Any, step: int) -> None:
        images = scene.images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(scene.model(images)[:, _CLASS].sum(), images)
        writer.add_figure("saliency", _subplots(gradient.abs().amax(1).numpy(), "hot"), step)

    return way


def parameters(scene: Scene) -> Way:
    """Watch all parameters and gradients of a step."""
    from tblog.adapters.parameters import ParameterWatch

    watch = ParameterWatch(scene.model, every=1)
    watch.__enter__()

    def way(writer: Any, step: int) -> None:
        scene.model(scene.images).sum().backward()
        writer.add_records(watch.records(), step)

    return way


def parameters_by_hand(scene: Scene) -> Way:
    """Log a histogram of each parameter and of each gradient."""

    def way(writer: Any, step: int) -> None:
        scene.model(scene.images).sum().backward()
        for name, parameter in scene.model.named_parameters():
            writer.add_histogram(name, parameter, step)
            writer.add_histogram(f"{name}/gradient", parameter.grad, step)

    return way


def model_summary(scene: Scene) -> Way:
    """Log the table of layers."""
    from tblog.adapters.model_summary import model_summary as records_of

    def way(writer: Any, step: int) -> None:
        writer.add_records(records_of(scene.model, input_size=(1, 3, 64, 64)), step)

    return way


def model_summary_by_hand(scene: Scene) -> Way:
    """Log torchinfo's table as preformatted text."""
    from torchinfo import summary

    def way(writer: Any, step: int) -> None:
        with redirect_stdout(io.StringIO()):
            table = str(summary(scene.model, input_size=(1, 3, 64, 64), verbose=0))
        writer.add_text("model", "    " + table.replace("\n", "\n    "), step)

    return way


OURS: dict[str, Callable[[Scene], Way]] = {
    "feature maps": feature_maps,
    "convolution kernels": conv_kernels,
    "class activation maps": class_activation_maps,
    "saliency maps": saliency_maps,
    "parameters and gradients": parameters,
    "model summary": model_summary,
}
BY_HAND: dict[str, Callable[[Scene], Way]] = {
    "feature maps": feature_maps_by_hand,
    "convolution kernels": conv_kernels_by_hand,
    "class activation maps": class_activation_maps_by_hand,
    "saliency maps": saliency_maps_by_hand,
    "parameters and gradients": parameters_by_hand,
    "model summary": model_summary_by_hand,
}


def _subplots(maps: Any, colormap: str | None) -> Any:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    columns = min(8, len(maps))
    figure = plt.figure(figsize=(8, 8))
    for index, shown in enumerate(maps):
        axes = figure.add_subplot(-(-len(maps) // columns), columns, index + 1)
        axes.imshow(shown, cmap=colormap)
        axes.axis("off")
    return figure
