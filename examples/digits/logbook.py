"""What is logged of the training, and when: at its start, at each step, at each epoch, at its end."""

from __future__ import annotations

import torch
from torchvision.utils import make_grid

from digits import figures
from digits.data import CLASSES, Split
from digits.model import DigitNet
from digits.training import Config, Evaluation, Step, embed
from tblog import SummaryWriter

# The Custom Scalars page: one chart can show several tags, chosen by regular expressions.
LAYOUT = {
    "Training": {
        "loss": ["Multiline", [r"^loss$"]],
        "accuracy": ["Multiline", [r"^accuracy$"]],
    },
    "Digits": {"accuracy of each digit": ["Multiline", [r"^digit_accuracy/\d$"]]},
    "Gradients": {
        "share that a step changes": ["Multiline", [r"^watch_update_ratio/"]],
        "gradient norm in an epoch": [
            "Margin",
            ["gradient_norm/mean", "gradient_norm/min", "gradient_norm/max"],
        ],
    },
}


def log_start(writer: SummaryWriter, model: DigitNet, train: Split, config: Config) -> None:
    """Log what is known before the first step: configuration, graph, layout and a look at the data."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in config.as_dict().items())
    writer.add_text("configuration", f"| name | value |\n|---|---|\n{rows}")
    writer.log_hparams(config.as_dict(), metric_tags=["final/accuracy", "final/loss"])
    writer.add_custom_scalars(LAYOUT)
    writer.add_image("inputs", make_grid(train.images[:64], nrow=16, padding=1, pad_value=0.3))
    writer.add_graph(model, train.images[:1])


class StepLog:
    """Logs the curves: values to compare go to two runs under one tag, and so into one chart."""

    def __init__(self, writer: SummaryWriter, train: SummaryWriter, validation: SummaryWriter) -> None:
        self._writer = writer
        self._train = train
        self._validation = validation
        self._gradient_norms: list[torch.Tensor] = []

    def log_step(self, step: Step, evaluation: Evaluation, number: int) -> None:
        """Log one step; each writer takes its values in one call."""
        self._train.add_scalar_dict({"loss": step.loss, "accuracy": step.accuracy}, number)
        self._validation.add_scalar_dict({"loss": evaluation.loss, "accuracy": evaluation.accuracy}, number)
        self._writer.add_scalar("learning_rate", step.learning_rate, number)
        self._gradient_norms.append(step.gradient_norm)

    def log_epoch(self, number: int) -> None:
        """Log the range of the gradient norm since the last call."""
        norms = torch.stack(self._gradient_norms)
        self._gradient_norms.clear()
        scalars = {"mean": norms.mean(), "min": norms.min(), "max": norms.max()}
        self._writer.add_scalar_dict(
            {f"gradient_norm/{name}": norm for name, norm in scalars.items()}, number
        )


def log_epoch(
    writer: SummaryWriter, model: DigitNet, data: Split, evaluation: Evaluation, number: int
) -> None:
    """Log what is worth a look after each epoch: parameters, gradients, and the results for each digit."""
    for name, parameter in model.named_parameters():
        writer.add_histogram(f"parameters/{name}", parameter, number)
        writer.add_histogram(f"gradients/{name}", parameter.grad, number)
    right = evaluation.predictions == data.labels
    writer.add_scalar_dict(
        {
            f"digit_accuracy/{name}": right[data.labels == digit].float().mean()
            for digit, name in enumerate(CLASSES)
        },
        number,
    )
    for digit, name in enumerate(CLASSES):
        writer.add_pr_curve(f"digit/{name}", data.labels == digit, evaluation.probabilities[:, digit], number)
    writer.add_figure("confusion", figures.confusion_figure(data, evaluation), number)
    writer.add_figure("mistakes", figures.mistakes_figure(data, evaluation), number)


def log_end(writer: SummaryWriter, model: DigitNet, data: Split, evaluation: Evaluation, number: int) -> None:
    """Log the outcome: the metrics of the HParams page, and the embedding for the projector."""
    writer.add_scalar_dict(
        {"final/loss": evaluation.loss, "final/accuracy": evaluation.accuracy},
        number,
    )
    writer.add_embedding(
        embed(model, data),
        metadata=[
            [CLASSES[int(label)], CLASSES[int(predicted)]]
            for label, predicted in zip(data.labels, evaluation.predictions, strict=True)
        ],
        metadata_header=["digit", "predicted"],
        label_img=1 - data.images,
        global_step=number,
        tag="penultimate_layer",
    )
