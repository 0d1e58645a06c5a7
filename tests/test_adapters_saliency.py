"""Tests of adapters/saliency.py: attributions against closed forms, and a model that is left alone."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tblog.adapters._attributions import AVERAGING
from tblog.adapters.saliency import attributions, saliency_maps
from tblog.errors import InvalidTypeError, InvalidValueError
from tests.cells import cells_of
from tests.untouched import untouched

torch.set_num_threads(1)

METHODS = ["gradient", "input_x_gradient", "guided_backprop", "smooth_grad", "integrated_gradients"]


def _linear(classes=3, shape=(2, 4, 5)):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), classes))


def _convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 4),
    )


def _pictures(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("method", ["gradient", "smooth_grad"])
def test_gradients_of_a_linear_model_are_its_weights(method):
    """For scores W x + b the gradient of class c is row c of W, with noise or without."""
    model, inputs, classes = _linear(), _pictures(3, 2, 4, 5), [2, 0, 1]
    found = attributions(model, inputs, classes, method)
    torch.testing.assert_close(found, model[1].weight[classes].reshape(3, 2, 4, 5).detach())


@pytest.mark.parametrize("method", ["input_x_gradient", "integrated_gradients"])
def test_shares_of_a_linear_model_are_weights_times_inputs(method):
    """For scores W x + b each element contributes w x to the score, relative to a baseline of 0."""
    model, inputs, classes = _linear(), _pictures(3, 2, 4, 5), [2, 0, 1]
    found = attributions(model, inputs, classes, method)
    torch.testing.assert_close(found, model[1].weight[classes].reshape(3, 2, 4, 5).detach() * inputs)


def test_integrated_gradients_start_at_the_baseline():
    """For scores W x + b each element contributes w (x - x0)."""
    model, inputs, start = _linear(), _pictures(3, 2, 4, 5), _pictures(2, 4, 5) + 1
    found = attributions(model, inputs, 1, "integrated_gradients", baseline=start, steps=3)
    torch.testing.assert_close(found, model[1].weight[1].reshape(2, 4, 5).detach() * (inputs - start))


@settings(max_examples=15, deadline=None)
@given(degree=st.integers(1, 4), seed=st.integers(0, 1000))
def test_integrated_gradients_of_powers_have_a_closed_form(degree, seed):
    """For the score sum(w x ** d) each element's share is w x ** d, and the shares sum up to the score."""
    generator = torch.Generator().manual_seed(seed)
    weights, inputs = (torch.randn(number, 6, generator=generator, dtype=torch.float64) for number in (1, 2))

    class Power(nn.Module):
        def forward(self, features):
            return (weights * features**degree).sum(1, keepdim=True)

    found = attributions(Power(), inputs, 0, "integrated_gradients", steps=400)
    torch.testing.assert_close(found, weights * inputs**degree, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.sum(1), Power()(inputs)[:, 0], rtol=1e-4, atol=1e-4)


def test_integrated_gradients_sum_up_to_the_difference_of_scores():
    """The shares of a network with ReLUs sum up to its score minus the baseline's."""
    model, inputs = _convolutional().eval(), _pictures(2, 3, 8, 8)
    found = attributions(model, inputs, [0, 3], "integrated_gradients", steps=300)
    with torch.no_grad():
        difference = (model(inputs) - model(torch.zeros_like(inputs)))[[0, 1], [0, 3]]
    torch.testing.assert_close(found.sum((1, 2, 3)), difference, rtol=1e-2, atol=1e-3)


class _Written(nn.Module):
    """Two layers whose ReLUs are written in one of the common ways."""

    def __init__(self, relu):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.relu = nn.Linear(6, 8), nn.Linear(8, 3), relu

    def forward(self, features):
        return self.second(self.relu(self.first(features)))


RELUS = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "functional": nn.functional.relu,
    "in-place functional": lambda hidden: nn.functional.relu(hidden, inplace=True),
    "function": torch.relu,
    "method": lambda hidden: hidden.relu(),
    "in-place method": lambda hidden: hidden.relu_(),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS.keys())
def test_guided_backpropagation_has_a_closed_form(relu):
    """Behind one ReLU the guided gradient is W1^T (w2+ where the unit is active), however the ReLU is written."""
    model, inputs = _Written(relu), _pictures(4, 6)
    with untouched(model):
        found = attributions(model, inputs, 1, "guided_backprop")
    with torch.no_grad():
        active = model.first(inputs) > 0
        wanted = (active * model.second.weight[1].clamp(min=0)) @ model.first.weight
    torch.testing.assert_close(found, wanted)


def test_guided_backpropagation_guides_each_relu_of_a_chain():
    """A negative gradient is cut at each ReLU on its path, not only at the last."""
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1))
    for layer, weight, bias in zip(model[::2], (1.0, -1.0, 1.0), (0.0, 5.0, 0.0), strict=True):
        nn.init.constant_(layer.weight, weight)
        nn.init.constant_(layer.bias, bias)
    inputs = torch.ones(1, 1)
    assert attributions(model, inputs, 0, "gradient").item() == -1
    assert attributions(model, inputs, 0, "guided_backprop").item() == 0


def test_guided_backpropagation_without_relus_is_refused():
    """A model of other activations has nothing to guide."""
    model, inputs = nn.Sequential(nn.Linear(3, 2), nn.Tanh()), torch.rand(1, 3)
    with untouched(model), pytest.raises(InvalidValueError, match="ran none"):
        attributions(model, inputs, 0, "guided_backprop")


def test_smooth_grad_is_the_mean_over_noisy_inputs():
    """The result is the mean of gradients at inputs with noise of the requested deviation, by seed."""
    model, inputs = _convolutional().eval(), _pictures(1, 3, 8, 8)
    generator = torch.Generator().manual_seed(7)
    deviation = 0.2 * (inputs.max() - inputs.min())
    noisy = [inputs + deviation * torch.randn(inputs.shape, generator=generator) for _ in range(4)]
    wanted = torch.stack([attributions(model, each, 2) for each in noisy]).mean(0)
    found = attributions(model, inputs, 2, "smooth_grad", steps=4, noise=0.2, seed=7)
    torch.testing.assert_close(found, wanted)
    assert not torch.equal(found, attributions(model, inputs, 2, "smooth_grad", steps=4, noise=0.2, seed=8))


def test_the_class_asked_for_is_explained():
    """A target is explained whatever the model predicts; without a target, the prediction is."""
    model, inputs = _linear(), _pictures(3, 2, 4, 5)
    predicted = model(inputs).argmax(1)
    other = (predicted + 1) % 3
    torch.testing.assert_close(attributions(model, inputs), attributions(model, inputs, predicted))
    assert not torch.allclose(attributions(model, inputs), attributions(model, inputs, other))


def test_a_function_of_the_output_can_be_explained():
    """The difference of two classes has the difference of their gradients."""
    model, inputs = _linear(), _pictures(2, 2, 4, 5)
    found = attributions(model, inputs, lambda scores: scores[0] - scores[2])
    torch.testing.assert_close(found, attributions(model, inputs, 0) - attributions(model, inputs, 2))


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (
            lambda scores: {"logits": scores, "loss": scores.sum()},
            "dict, which does not have an entry for each of 2",
        ),
        (lambda scores: scores.sum(), r"a tensor of shape \(\), which does not have an entry"),
        (lambda scores: SimpleNamespace(logits=scores), "SimpleNamespace, which does not have an entry"),
    ],
)
def test_an_output_without_an_entry_for_each_input_is_refused(returned, said):
    """A function would get a dict's keys, or an error: the message asks for a module that returns the scores."""

    class Returns(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = _linear()

        def forward(self, inputs):
            return returned(self.linear(inputs))

    with pytest.raises(InvalidTypeError, match=said):
        attributions(Returns(), _pictures(2, 2, 4, 5), lambda scores: scores[0])


def test_a_model_that_passes_no_gradient_back_is_refused():
    """A dynamically quantized head passes none back, and a black picture would look like a finding."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    model(_pictures(2, 2, 4, 5))
    quantized = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})
    with untouched(quantized), pytest.raises(InvalidTypeError, match="no gradient back"):
        attributions(quantized, _pictures(2, 2, 4, 5))


@pytest.mark.parametrize("method", METHODS)
def test_the_model_is_left_as_it_was(method):
    """Mode, gradients, hooks, buffers and random states survive each method."""
    model, inputs = _convolutional(), _pictures(2, 3, 8, 8)
    model(inputs).sum().backward()
    model[0].register_forward_hook(lambda *_: None)
    model[4].weight.requires_grad_(requires_grad=False)
    with untouched(model):
        saliency_maps(model, inputs, method=method, steps=2 if method in AVERAGING else None)


@pytest.mark.parametrize("method", METHODS)
def test_a_failure_half_way_leaves_the_model_as_it_was(method):
    """A target that raises in the second run loses nothing."""
    model, inputs = _convolutional(), _pictures(2, 3, 8, 8)
    model(inputs).sum().backward()

    def breaking(_output):
        raise KeyError

    with untouched(model), pytest.raises(KeyError):
        saliency_maps(model, inputs, breaking, method)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_callers_modes_do_not_reach_in(surroundings):
    """Under no_grad, inference mode or autocast the gradients are the same."""
    model, inputs = _convolutional(), _pictures(2, 3, 8, 8)
    wanted = attributions(model, inputs)
    with surroundings(), untouched(model):
        torch.testing.assert_close(attributions(model, inputs * 1), wanted)


def test_a_map_is_the_greatest_magnitude_over_channels():
    """The record holds max |a| over the channels, and draws one cell for each input."""
    model, inputs = _linear(), _pictures(3, 2, 4, 5)
    (record,) = saliency_maps(model, inputs, 1, class_names=["a", "b", "c"], tag="why")
    assert record.tag == "why/gradient"
    wanted = model[1].weight[1].reshape(2, 4, 5).abs().amax(0).detach()
    np.testing.assert_allclose(record.image.maps, wanted.expand(3, 4, 5), rtol=1e-6)
    assert all(re.search(r"b · \d+ %", label) for label in record.image.labels)
    assert record.image.caption == "Saliency by gradients · greatest over channels"
    assert record.image.numpy().dtype == np.uint8


@pytest.mark.parametrize("style", ["grey", "heat", "overlay"])
def test_styles_differ_as_their_names_say(style):
    """Grey has no colour, heat has the colour map's, an overlay keeps the input visible."""
    model, inputs = _linear(shape=(1, 16, 16)), torch.rand(1, 1, 16, 16)
    (record,) = saliency_maps(model, inputs, 0, style=style, beside_input=False)
    cell = cells_of(record.image, 1, 16, 16)[0]
    assert (cell.max(2) == cell.min(2)).all() == (style == "grey")
    original = inputs[0, 0].numpy()
    alikeness = np.corrcoef(cell.sum(2).ravel(), original.ravel())[0, 1]
    assert (alikeness > 0.5) == (style == "overlay")


@pytest.mark.parametrize("shape", [(2, 6), (2, 3, 7)])
def test_inputs_that_are_no_pictures_are_drawn_too(shape):
    """Features become a line, sequences a picture of their channels."""
    (record,) = saliency_maps(_linear(shape=shape[1:]), _pictures(*shape))
    assert record.image.maps.shape == (2, 1, 6) if len(shape) == 2 else (2, 3, 7)
    assert record.image.numpy().ndim == 3


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"targets": 3}, InvalidValueError, "0 to 2"),
        ({"targets": "cat"}, InvalidTypeError, "class index"),
        ({"method": "integrated_gradient"}, InvalidValueError, "did you mean 'integrated_gradients'"),
        ({"inputs": torch.rand(2, 3, 4, 5)}, InvalidValueError, r"\(2, 3, 4, 5\)"),
        ({"inputs": torch.rand(40)}, InvalidValueError, r"inputs\[None\]"),
        ({"steps": 0}, InvalidValueError, "1 or more"),
        ({"steps": 2.5, "method": "smooth_grad"}, InvalidValueError, "1 or more"),
        (
            {"steps": 4},
            InvalidValueError,
            r"steps was 4.*'gradient' has no use; .*'smooth_grad' or 'integrated",
        ),
        ({"noise": 0.1, "method": "integrated_gradients"}, InvalidValueError, "noise was 0.1"),
        ({"baseline": 0.1, "method": "smooth_grad"}, InvalidValueError, "baseline was 0.1"),
        ({"seed": 1, "method": "guided_backprop"}, InvalidValueError, "seed was 1"),
        ({"method": "integrated_gradients", "baseline": torch.rand(7)}, InvalidValueError, r"shape \(7,\)"),
        ({"mean": [1, 2, 3]}, InvalidValueError, "2 channels"),
        ({"targets": lambda scores: scores}, InvalidValueError, "one number"),
        ({"targets": lambda scores: scores.detach()[0]}, InvalidValueError, "differentiated"),
    ],
)
def test_wrong_arguments_are_refused_in_the_call(wrong, error, told):
    """The error says what was given and what to give, and nothing changes."""
    model = _linear()
    with untouched(model), pytest.raises(error, match=told):
        saliency_maps(**{"model": model, "inputs": _pictures(2, 2, 4, 5)} | wrong)
