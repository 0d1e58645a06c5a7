"""What a type checker says about records and adapters: mypy reads this file, nobody runs it; see writers.py."""

from __future__ import annotations

from typing import Any, assert_type

import numpy as np
import torch
from numpy.typing import NDArray

from tblog import SummaryWriter, records
from tblog.adapters.activation_maximization import activation_maximization
from tblog.adapters.cam import class_activation_maps, vit_reshape
from tblog.adapters.conv_kernels import conv_kernels
from tblog.adapters.feature_maps import FeatureMaps
from tblog.adapters.model_summary import model_summary
from tblog.adapters.parameters import ParameterWatch
from tblog.adapters.saliency import attributions, saliency_maps
from tblog.adapters.system import SystemSample, SystemSampler

# Records are frozen, and made by keyword.
scalar = records.ScalarRecord(tag="loss", value=0.5)
assert_type(scalar.tag, str)
records.ScalarRecord("loss", 0.5)  # type: ignore[call-arg]
records.ScalarRecord(tag="loss")  # type: ignore[call-arg]
records.ScalarRecord(tag=3, value=0.5)  # type: ignore[arg-type]
scalar.tag = "other"  # type: ignore[misc]
image = records.ImageRecord(tag="image", image=np.zeros((3, 4, 4)))
assert_type(image.image, records.Array)
records.ImageRecord(tag="image", image="picture.png")  # type: ignore[arg-type]
records.HistogramRecord(tag="weights", values=np.zeros(3), bins="auto")


class Later:
    """A user's array that is made on the worker."""

    nbytes = 8

    def numpy(self) -> NDArray[Any]:
        """Return the array."""
        return np.zeros(1)


class Never:
    """An object without an array."""


records.HistogramRecord(tag="weights", values=Later())
records.HistogramRecord(tag="weights", values=Never())  # type: ignore[arg-type]

writer = SummaryWriter("runs/a")
writer.add_record(scalar, 1)
writer.add_records([scalar, image], 1)
writer.add_record({"loss": 0.5})  # type: ignore[arg-type]
writer.add_records(scalar)  # type: ignore[arg-type]

# Adapters turn a model into records.
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
images = torch.zeros(1, 3, 8, 8)
writer.add_records(assert_type(model_summary(model, (1, 3, 8, 8)), list[records.Record]))
writer.add_records(assert_type(conv_kernels(model), list[records.Record]))
maps = class_activation_maps(model, images, "0", targets=[1], class_names=["cat", "dog"])
writer.add_records(assert_type(maps, list[records.ImageRecord]))
class_activation_maps(model, images, 3)  # type: ignore[arg-type]
assert_type(vit_reshape(torch.zeros(1, 5, 8)), torch.Tensor)
assert_type(saliency_maps(model, images, targets=1), list[records.ImageRecord])
saliency_maps(model, images, style="neon")  # type: ignore[arg-type]
assert_type(attributions(model, images, targets=1), torch.Tensor)
excited = activation_maximization(model, "0", [0, 1], (3, 8, 8), steps=4)
assert_type(excited, list[records.ImageRecord])
conv_kernels("model")  # type: ignore[arg-type]

with FeatureMaps(model, ["0"], show="outputs") as features:
    assert_type(features, FeatureMaps)
    model(images)
    assert_type(features.records(), list[records.ImageRecord])
FeatureMaps(model, ["0"], show="weights")  # type: ignore[arg-type]

with ParameterWatch(model, every=10, writer=writer) as watch:
    assert_type(watch, ParameterWatch)
    assert_type(watch.records(), list[records.Record])
    writer.add_custom_scalars(watch.layout())
ParameterWatch(model, every="epoch")  # type: ignore[arg-type]

with SystemSampler(period_secs=1.0) as sampler:
    sampler.step()
    assert_type(sampler.records(), list[records.ScalarRecord])
    assert_type(sampler.samples(), list[SystemSample])
    assert_type(sampler.samples()[0].walltime, float)
