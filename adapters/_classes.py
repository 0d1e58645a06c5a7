"""The label above an explained input: its class and probability, the prediction and the true class.

Runs on the caller's thread.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from tblog.adapters._targets import Target, class_scores
from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    import torch

ClassNames: TypeAlias = "Sequence[str] | Mapping[int, str] | None"
TrueClasses: TypeAlias = "Sequence[int] | torch.Tensor | None"


def target_labels(
    outputs: Any, chosen: Sequence[Target], class_names: ClassNames = None, labels: TrueClasses = None
) -> list[str]:
    """Return a line for each input: its target with its probability, and the prediction if it differs.

    Probabilities are the softmax of the output, unless the output is already a distribution.

    Args:
        outputs: the output of the model. Unless its shape is (N, classes), the lines are empty.
        chosen: the target of each input.
        class_names: names by class index. A class without a name shows its index.
        labels: the true class of each input.

    Raises:
        InvalidValueError: the number of labels is not the number of inputs.
        InvalidTypeError: a label is not an integer.
    """
    truth = _true_classes(labels, len(chosen))
    try:
        scores = class_scores(outputs, len(chosen)).detach().double()
    except InvalidTypeError:
        return ["" for _ in chosen]
    is_distribution = bool((scores >= 0).all() and ((scores.sum(1) - 1).abs() < 1e-3).all())
    probabilities = (scores if is_distribution else scores.softmax(dim=1)).tolist()
    return [
        _line(target, row, true, class_names)
        for target, row, true in zip(chosen, probabilities, truth, strict=True)
    ]


def percent(share: float) -> str:
    """Return a share of 1 as "91 %", with one decimal if it is below 1 %."""
    digits = 1 if 0.0005 <= share < 0.0095 else 0
    return f"{100 * share:.{digits}f} %"


def _line(target: Target, probabilities: Sequence[float], true: int | None, names: ClassNames) -> str:
    predicted = max(range(len(probabilities)), key=probabilities.__getitem__)
    name = _class_name(predicted, names)
    asked = "" if callable(target) or target == predicted else _with_percent(target, probabilities, names)
    if true is not None:
        words = f"true {_class_name(true, names)}, predicted {name} ({percent(probabilities[predicted])})"
        return f"{asked} · {words}" if asked else words
    prediction = _with_percent(predicted, probabilities, names)
    if asked:
        return f"{asked} (predicted {prediction})"
    return f"predicted {prediction}" if callable(target) else prediction


def _with_percent(index: int, probabilities: Sequence[float], names: ClassNames) -> str:
    return f"{_class_name(index, names)} · {percent(probabilities[index])}"


def _class_name(index: int, names: ClassNames) -> str:
    if isinstance(names, Mapping):
        return names.get(index, str(index))
    return names[index] if names is not None and 0 <= index < len(names) else str(index)


def _true_classes(labels: TrueClasses, number: int) -> list[int | None]:
    if labels is None:
        return [None] * number
    try:
        found: list[int | None] = [operator.index(label) for label in labels]
    except TypeError as error:
        raise InvalidTypeError(
            f"The labels were {shortened(labels)}; give the index of the true class of each input ({error})"
        ) from error
    if len(found) != number:
        raise InvalidValueError(
            f"There were {len(found)} labels for {number} inputs; give the index of the true class of each input"
        )
    return found
