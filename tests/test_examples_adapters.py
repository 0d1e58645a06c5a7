"""The programs in examples/adapters run as they are, and log what the documentation shows."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path

import pytest
import torch

from tblog.adapters.activation_maximization import activation_maximization
from tests.reading import accumulator
from tests.slow import slow_but

EXAMPLES = Path(__file__).parents[1] / "examples" / "adapters"

torch.set_num_threads(1)


PROGRAMS = {
    "cam": (
        "",
        "images",
        [
            "digits/GradCAM/pool",
            "digits/FullGrad",
            "digits_as_eights/GradCAM/pool",
            "resnet18/GradCAM/layer4",
        ],
    ),
    "saliency": ("", "images", ["digits/integrated_gradients", "vgg11_grey/guided_backprop"]),
    "activation_maximization": ("", "images", ["digits/classifier", "digits/conv2"]),
    "parameters": (
        "learning_rate_1.0",
        "scalars",
        ["watch_dead_activations/pool", "watch_update_ratio/conv2"],
    ),
    "system": (
        "",
        "scalars",
        ["system/process/memory_mib", "system/steps_per_sec", "system/time_left_secs"],
    ),
}


@pytest.mark.parametrize("program", slow_but(["system"], PROGRAMS))
def test_an_example_logs_what_the_documentation_shows(program, tmp_path, monkeypatch):
    """TensorBoard's reader finds the tags in the picture; other adapters' own tests check theirs."""
    run, kind, tags = PROGRAMS[program]
    monkeypatch.syspath_prepend(EXAMPLES)
    main = runpy.run_path(str(EXAMPLES / f"{program}.py"))["main"]
    if program == "activation_maximization":  # its pictures need not be good
        quick = functools.partial(activation_maximization, steps=2)
        monkeypatch.setitem(main.__globals__, "activation_maximization", quick)
    main(tmp_path)
    assert set(tags) <= set(accumulator(tmp_path / run).Tags()[kind])
