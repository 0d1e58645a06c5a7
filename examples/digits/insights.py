"""A look inside the network with tblog's adapters: layers, feature maps, kernels, and what they respond to."""

from __future__ import annotations

from torch import Tensor

from digits.data import CLASSES, Split
from digits.model import DigitNet
from digits.training import evaluate
from tblog import SummaryWriter
from tblog.adapters.activation_maximization import activation_maximization
from tblog.adapters.cam import class_activation_maps
from tblog.adapters.conv_kernels import conv_kernels
from tblog.adapters.feature_maps import FeatureMaps
from tblog.adapters.model_summary import model_summary
from tblog.adapters.saliency import saliency_maps


def log_layers(writer: SummaryWriter, model: DigitNet, images: Tensor) -> None:
    """Log the table of the layers, with shapes, parameters and operations."""
    writer.add_records(model_summary(model, input_data=images[:1], scalars=False))


def log_maps(writer: SummaryWriter, model: DigitNet, data: Split, number: int) -> None:
    """Log both convolutions' outputs for the first digit, and their kernels."""
    with FeatureMaps(model, ["conv1", "conv2"]) as maps:
        evaluate(model, data)
    writer.add_records(maps.records(), number)
    writer.add_records(conv_kernels(model, "conv1"), number)


def log_explanations(writer: SummaryWriter, model: DigitNet, data: Split, number: int) -> None:
    """Log which pixels speak for the predicted class of some digits, and what excites some filters."""
    images = data.images[:8]
    # HiResCAM suits a network whose last layers distinguish positions, as these do.
    writer.add_records(
        class_activation_maps(model, images, "pool", "HiResCAM", mean=0, std=1, class_names=CLASSES), number
    )
    writer.add_records(
        saliency_maps(model, images, method="integrated_gradients", class_names=CLASSES), number
    )
    writer.add_records(activation_maximization(model, "conv2", range(8), (1, 8, 8)), number)
