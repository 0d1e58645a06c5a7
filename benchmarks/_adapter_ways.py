"""One step with each adapter, as question 13 measures it; `_tutorial_ways` has the tutorials' ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks._scene import ASCENT_CHANNELS, ASCENT_STEPS, CLASS, LAST_LAYER, LAYER, SIZE, Scene, Way


def _feature_maps(scene: Scene) -> Way:
    from tblog.adapters.feature_maps import FeatureMaps

    def way(writer: Any, step: int) -> None:
        with FeatureMaps(scene.model, [LAYER]) as maps:
            scene.forward()
        writer.add_records(maps.records(), step)

    return way


def _conv_kernels(scene: Scene) -> Way:
    from tblog.adapters.conv_kernels import conv_kernels

    def way(writer: Any, step: int) -> None:
        writer.add_records(conv_kernels(scene.model, [LAYER], channels=1), step)

    return way


def _class_activation_maps(scene: Scene) -> Way:
    from tblog.adapters.cam import class_activation_maps

    def way(writer: Any, step: int) -> None:
        writer.add_records(
            class_activation_maps(scene.model, scene.images, [LAST_LAYER], targets=CLASS), step
        )

    return way


def _saliency_maps(scene: Scene) -> Way:
    from tblog.adapters.saliency import saliency_maps

    def way(writer: Any, step: int) -> None:
        writer.add_records(saliency_maps(scene.model, scene.images, targets=CLASS), step)

    return way


def _activation_maximization(scene: Scene) -> Way:
    from tblog.adapters.activation_maximization import activation_maximization

    def way(writer: Any, step: int) -> None:
        records = activation_maximization(scene.model, LAYER, ASCENT_CHANNELS, SIZE, steps=ASCENT_STEPS)
        writer.add_records(records, step)

    return way


def _parameters(scene: Scene) -> Way:
    from tblog.adapters.parameters import ParameterWatch

    watch = ParameterWatch(scene.model, every=1, activations=False, histograms=True, max_values=None)

    def way(writer: Any, step: int) -> None:
        with watch:
            scene.train()
        writer.add_records(watch.records(), step)

    return way


def _model_summary(scene: Scene) -> Way:
    from tblog.adapters.model_summary import model_summary

    def way(writer: Any, step: int) -> None:
        writer.add_records(model_summary(scene.model, input_size=(1, *SIZE)), step)

    return way


def _system(_scene: Scene) -> Way:
    from tblog.adapters.system import SystemSampler

    sampler = SystemSampler(period_secs=0.5)
    sampler.__enter__()  # a daemon thread, for as long as the process lives

    def way(writer: Any, step: int) -> None:
        sampler.step()
        writer.add_records(sampler.records(), step)

    return way


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
