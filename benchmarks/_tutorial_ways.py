"""The tutorials' ways to what the adapters show: a hook or a loop, a matplotlib figure, `add_figure`."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from benchmarks._scene import ASCENT_CHANNELS, ASCENT_STEPS, CLASS, LAST_LAYER, SIZE, Scene, Way


def _feature_maps(scene: Scene) -> Way:
    def way(writer: Any, step: int) -> None:
        kept: list[Any] = []
        handle = scene.layer.register_forward_hook(lambda *call: kept.append(call[2]))
        scene.forward()
        handle.remove()
        writer.add_figure("feature_maps", _subplots(kept[0][0].detach().numpy(), "viridis"), step)

    return way


def _conv_kernels(scene: Scene) -> Way:
    def way(writer: Any, step: int) -> None:
        kernels = scene.layer.weight.detach().numpy()
        writer.add_figure("conv_kernels", _subplots(kernels[:, 0], "bwr"), step)

    return way


def _class_activation_maps(scene: Scene) -> Way:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    pictures = scene.images.permute(0, 2, 3, 1).numpy()

    def way(writer: Any, step: int) -> None:
        targets = [ClassifierOutputTarget(CLASS)] * len(scene.images)
        with GradCAM(model=scene.model, target_layers=[scene.model.get_submodule(LAST_LAYER)]) as cam:
            masks = cam(input_tensor=scene.images, targets=targets)
        shown = [show_cam_on_image(p, m, use_rgb=True) for p, m in zip(pictures, masks, strict=True)]
        writer.add_figure("cam", _subplots(shown, None), step)

    return way


def _saliency_maps(scene: Scene) -> Way:
    import torch

    def way(writer: Any, step: int) -> None:
        images = scene.images.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(scene.model(images)[:, CLASS].sum(), images)
        writer.add_figure("saliency", _subplots(gradient.abs().amax(1).numpy(), "hot"), step)

    return way


def _activation_maximization(scene: Scene) -> Way:
    import torch

    def grown(channel: int) -> Any:
        kept: list[Any] = []
        handle = scene.layer.register_forward_hook(lambda *call: kept.append(call[2]))
        image = torch.rand(1, *SIZE)
        for _ in range(ASCENT_STEPS):
            image = image.detach().requires_grad_(True)
            scene.model(image)
            (gradient,) = torch.autograd.grad(kept.pop()[0, channel].mean(), image)
            image = image + 0.1 * gradient / gradient.square().mean().sqrt()
        handle.remove()
        return image.detach()[0].permute(1, 2, 0).clamp(0, 1).numpy()

    def way(writer: Any, step: int) -> None:
        pictures = [grown(channel) for channel in ASCENT_CHANNELS]
        writer.add_figure("activation_maximization", _subplots(pictures, None), step)

    return way


def _parameters(scene: Scene) -> Way:
    def way(writer: Any, step: int) -> None:
        scene.train()
        for name, parameter in scene.model.named_parameters():
            writer.add_histogram(name, parameter, step)
            writer.add_histogram(f"{name}/gradient", parameter.grad, step)

    return way


def _model_summary(scene: Scene) -> Way:
    from torchinfo import summary

    def way(writer: Any, step: int) -> None:
        with redirect_stdout(io.StringIO()):
            table = str(summary(scene.model, input_size=(1, *SIZE), verbose=0))
        writer.add_text("model", "    " + table.replace("\n", "\n    "), step)

    return way


def _system(_scene: Scene) -> Way:
    import psutil

    process = psutil.Process()

    def way(writer: Any, step: int) -> None:
        writer.add_scalar("process/cpu_percent", process.cpu_percent(), step)
        writer.add_scalar("process/memory_mib", process.memory_info().rss / 2**20, step)
        writer.add_scalar("process/threads", process.num_threads(), step)
        writer.add_scalar("cpu_percent", psutil.cpu_percent(), step)
        writer.add_scalar("memory_percent", psutil.virtual_memory().percent, step)
        writer.add_scalar("disk/read_mib", psutil.disk_io_counters().read_bytes / 2**20, step)
        writer.add_scalar("network/sent_mib", psutil.net_io_counters().bytes_sent / 2**20, step)

    return way


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


WAYS: dict[str, Callable[[Scene], Way]] = {
    "feature maps": _feature_maps,
    "convolution kernels": _conv_kernels,
    "class activation maps": _class_activation_maps,
    "saliency maps": _saliency_maps,
    "activation maximization": _activation_maximization,
    "parameters and gradients": _parameters,
    "model summary": _model_summary,
    "system": _system,
}
