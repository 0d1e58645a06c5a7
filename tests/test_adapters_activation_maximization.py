"""Tests of adapters/activation_maximization.py: ascent against closed forms, and a model that is left alone."""

import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from torch import nn

from tblog.adapters.activation_maximization import activation_maximization
from tblog.errors import InvalidTypeError, InvalidValueError, MissingDependencyError
from tests.untouched import untouched

torch.set_num_threads(1)

PLAIN = {"jitter": 0, "blur": 0.0, "decay": 0.0}
SIZE = (2, 6, 7)


def _linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * 6 * 7, 3))


def _convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(),
        nn.Conv2d(4, 5, 3),
        nn.Flatten(),
    )


_DIGITS = torch.tensor(load_digits().images[:500, None] / 16, dtype=torch.float32)
_LABELS = torch.tensor(load_digits().target[:500])


def _digits():
    """Return a small convolutional network that knows digits of 8x8."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(_DIGITS), _LABELS).backward()
        optimizer.step()
    return model.eval()


def _pictures(model, layer, channels, **options):
    (record,) = activation_maximization(model, layer, channels, SIZE, **{"steps": 6, **options})
    return record.image.inputs


def _noise(seed=0):
    return 0.1 * torch.randn(1, *SIZE, generator=torch.Generator().manual_seed(seed))


def test_ascent_on_a_linear_layer_has_a_closed_form():
    """For w x + b each step adds w, scaled to a root mean square of 1, times the learning rate."""
    model = _linear()
    found = _pictures(model, "1", [2, 0], learning_rate=0.5, **PLAIN)
    weights = model[1].weight[[2, 0]].reshape(2, *SIZE).detach()
    direction = weights / weights.square().mean((1, 2, 3), keepdim=True).sqrt()
    torch.testing.assert_close(torch.from_numpy(found), _noise() + 6 * 0.5 * direction)


def test_decay_takes_its_share_in_each_step():
    """Without a gradient, each step fades the noise by the decay."""
    model = _linear()
    nn.init.zeros_(model[1].weight)
    found = _pictures(model, "1", 0, **PLAIN | {"decay": 0.1})
    np.testing.assert_allclose(found, _noise() * 0.9**6, rtol=1e-5)


def test_blur_is_a_gaussian_of_that_many_pixels():
    """The blur agrees with scipy's filter of the same standard deviation."""
    model = _linear()
    nn.init.zeros_(model[1].weight)
    found = _pictures(model, "1", 0, steps=1, **PLAIN | {"blur": 1.0})
    wanted = gaussian_filter(_noise().numpy(), (0, 0, 1.0, 1.0), mode="nearest", truncate=3.0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_jitter_shifts_what_the_model_sees_and_not_the_picture():
    """For the mean over all pixels a shift changes nothing; for one pixel it spreads the gradient."""
    mean = nn.Sequential(nn.Conv2d(2, 1, 1), nn.AdaptiveAvgPool2d(1))
    np.testing.assert_allclose(
        _pictures(mean, "1", 0, **PLAIN | {"jitter": 3}), _pictures(mean, "1", 0, **PLAIN), atol=1e-6
    )
    model = _linear()
    with torch.no_grad():
        model[1].weight[0] = torch.eye(2 * 6 * 7)[50]
    still, moved = (_pictures(model, "1", 0, steps=30, **PLAIN | {"jitter": jitter}) for jitter in (0, 2))
    changed = [(np.abs(pictures - _noise().numpy()) > 1e-6).sum() for pictures in (still, moved)]
    assert changed[0] == 1
    assert 5 < changed[1] <= 25


def test_pictures_excite_their_channels_more_than_noise_does():
    """Each channel's activation rises, and the labels show its start and end."""
    model = _convolutional().eval()
    (record,) = activation_maximization(model, "4", range(5), SIZE, steps=20)
    with torch.no_grad():
        reached = model[:5](torch.from_numpy(record.image.inputs)).mean((2, 3)).diagonal()
        before = model[:5](_noise()).mean((2, 3))[0]
    assert (reached > before).all()
    assert record.image.labels == [
        f"{channel}: {start:.2g} to {value:.3g}"
        for channel, (start, value) in enumerate(zip(before.tolist(), reached.tolist(), strict=True))
    ]


def test_a_picture_that_ends_below_where_it_began_says_so():
    """Its label has both activations and says that the channel was not excited; other labels do not."""
    model = _linear()
    with torch.no_grad():
        model[1].weight[0] = 0
        model[1].bias[0] = 0.5
    (record,) = activation_maximization(model, "1", [0, 1], SIZE, steps=4)
    assert record.image.labels[0] == "0: 0.5 to 0.5, not excited"
    assert "not excited" not in record.image.labels[1]


@pytest.mark.parametrize(
    ("side", "jitter", "blur"), [(8, 0, 0.1), (28, 0, 0.35), (32, 1, 0.4), (64, 1, 0.4), (224, 4, 0.4)]
)
def test_jitter_and_blur_follow_the_size_of_the_picture(side, jitter, blur):
    """By default they scale with the picture: a small picture is not shifted by half its size."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d((8, 8)), nn.Conv2d(1, 2, 3))
    (own,), (stated,) = (
        activation_maximization(model, "1", [0, 1], (1, side, 2 * side), steps=2, **options)
        for options in ({}, {"jitter": jitter, "blur": blur})
    )
    np.testing.assert_array_equal(own.image.inputs, stated.image.inputs)


def test_the_documented_call_excites_what_it_is_asked_for():
    """With 8x8 pixels and the defaults, pictures excite each class of a network on digits far more than noise."""
    model = _digits()
    (record,) = activation_maximization(model, "3", range(10), (1, 8, 8))
    with torch.no_grad():
        reached = model(torch.from_numpy(record.image.inputs)).diagonal()
        by_digits = torch.stack(
            [scores[label] for scores, label in zip(model(_DIGITS), _LABELS, strict=True)]
        )
    assert not any("not excited" in label for label in record.image.labels)
    assert (reached > by_digits.mean()).all()


def test_a_seed_gives_the_same_pictures_again():
    """One seed gives one result, whatever the caller's random state; another seed gives another result."""
    model = _convolutional()
    first = _pictures(model, "4", 1, seed=3)
    torch.rand(1)
    np.testing.assert_array_equal(_pictures(model, "4", 1, seed=3), first)
    assert not np.array_equal(_pictures(model, "4", 1, seed=4), first)


def test_a_channel_does_not_depend_on_the_others_in_the_batch():
    """Several filters at once give what each gives alone."""
    model = _convolutional()
    together = _pictures(model, "4", [0, 3, 1])
    alone = np.concatenate([_pictures(model, "4", channel) for channel in (0, 3, 1)])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_channels_are_taken_from_numpy_and_torch_too():
    """An index may be any integer, a sequence any iterable of them."""
    model = _convolutional()
    wanted = _pictures(model, "4", [3])
    for channels in (np.int64(3), torch.tensor(3), torch.tensor([3]), np.array([3])):
        np.testing.assert_array_equal(_pictures(model, "4", channels), wanted)


def test_pictures_stay_visible_under_the_models_normalization():
    """With mean and std, the denormalized picture is in [0, 1]; without them, it may leave that range."""
    model, mean, std = _linear(), [0.4, 0.6], [0.2, 0.3]
    found = _pictures(model, "1", 0, steps=50, **PLAIN, mean=mean, std=std)
    seen = found * np.reshape(std, (2, 1, 1)) + np.reshape(mean, (2, 1, 1))
    assert seen.min() > -1e-6
    assert seen.max() < 1 + 1e-6
    assert np.abs(_pictures(model, "1", 0, steps=50, **PLAIN)).max() > 3


def test_what_comes_behind_the_layer_does_not_run():
    """The forward pass ends at the layer, so that early layers are cheap."""
    model, ran = _convolutional(), []
    model[5].register_forward_hook(lambda *_: ran.append(1))
    _pictures(model, "4", 0)
    assert not ran


def test_the_model_is_left_as_it_was():
    """Mode, gradients, hooks, buffers and random states survive."""
    model = _convolutional()
    model(torch.rand(2, *SIZE)).sum().backward()
    model[0].register_forward_hook(lambda *_: None)
    with untouched(model):
        _pictures(model, "4", [0, 1])


def test_a_failure_half_way_leaves_the_model_as_it_was():
    """A layer that raises in the third step loses nothing."""
    model, calls = _convolutional(), []

    def breaking(*_):
        calls.append(1)
        if len(calls) == 3:
            raise KeyError

    model[1].register_forward_hook(breaking)
    with untouched(model), pytest.raises(KeyError):
        _pictures(model, "4", 0)


@pytest.mark.parametrize("surroundings", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_the_callers_modes_do_not_reach_in(surroundings):
    """Under no_grad, inference mode or autocast the pictures are the same."""
    model = _convolutional()
    wanted = _pictures(model, "4", 0)
    with surroundings():
        np.testing.assert_allclose(_pictures(model, "4", 0), wanted, atol=1e-6)


def test_the_record_is_one_grid_for_the_layer():
    """The tag names the layer, the picture is RGB bytes with a label for each channel."""
    (record,) = activation_maximization(_convolutional(), "0", [3, 1], SIZE, steps=1, tag="dreams")
    assert record.tag == "dreams/0"
    assert [label.split(":")[0] for label in record.image.labels] == ["3", "1"]
    picture = record.image.numpy()
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_the_progress_bar_is_shown_if_wanted_alone(capsys, monkeypatch):
    """Nothing is printed by default; without tqdm the error names the extra."""
    model = _convolutional()
    _pictures(model, "0", 0)
    assert capsys.readouterr() == ("", "")
    _pictures(model, "0", 0, progress=True)
    assert "6/6" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with untouched(model), pytest.raises(MissingDependencyError, match=r"tblog\[adapters\]"):
        _pictures(model, "0", 0, progress=True)


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"layer": "6"}, InvalidValueError, "no layer '6'"),
        ({"layer": nn.Conv2d}, InvalidValueError, "which matches 2 layers"),
        ({"channels": [0, 5]}, InvalidValueError, r"\[5\]; give 0 to 4"),
        ({"channels": -1}, InvalidValueError, "0 to 4"),
        ({"channels": [0.5]}, InvalidTypeError, "sequence of them"),
        ({"channels": []}, InvalidValueError, "at least one"),
        ({"input_size": (3, 6, 7)}, InvalidValueError, r"\(1, 3, 6, 7\)"),
        ({"input_size": (6, 7)}, InvalidValueError, r"\(C, H, W\)"),
        ({"steps": 0}, InvalidValueError, "steps was 0"),
        ({"jitter": -1}, InvalidValueError, "jitter was -1"),
        ({"blur": -1}, InvalidValueError, "blur was -1"),
        ({"mean": [0.5] * 3}, InvalidValueError, "2 channels"),
    ],
)
def test_wrong_arguments_are_refused(wrong, error, told):
    """The error says what was given and what to give, and nothing changes."""
    model = _convolutional()
    given = {"model": model, "layer": "4", "channels": 0, "input_size": SIZE} | wrong
    with untouched(model), pytest.raises(error, match=told):
        activation_maximization(**given)


def test_a_layer_that_does_not_run_or_has_no_channels_is_an_error():
    """A skipped layer and one whose output has no channels are errors."""

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.skipped, self.pair = nn.Conv2d(2, 2, 1), _Pair()

        def forward(self, pictures):
            return self.pair(pictures)[0]

    with pytest.raises(InvalidValueError, match="did not run skipped"):
        activation_maximization(Odd(), "skipped", 0, SIZE)
    with pytest.raises(InvalidTypeError, match="pair returns tuple"):
        activation_maximization(Odd(), "pair", 0, SIZE)


class _Pair(nn.Module):
    def forward(self, pictures):
        return pictures, pictures
