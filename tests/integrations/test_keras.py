"""Keras 3 on torch and on JAX with the callback of tblog.integrations: real trainings, read back."""

from __future__ import annotations

import pytest

from tests.needs import need_package
from tests.reading import accumulator, points

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

TRAINING = """
import sys
import keras, numpy as np
from tblog.integrations.keras import TensorBoard

inputs = keras.Input((8,))
outputs = keras.layers.Dense(2, name="last")(keras.layers.Dense(4, activation="relu")(inputs))
model = keras.Model(inputs, outputs)
model.compile("sgd", "mse", metrics=["mae"])
x, y = np.random.rand(40, 8).astype("float32"), np.zeros((40, 2), "float32")
"""

FIT = """
callback = TensorBoard("logs", histogram_freq=2, update_freq=2, write_steps_per_second=True)
model.fit(x, y, batch_size=8, epochs=3, validation_data=(x, y), callbacks=[callback], verbose=0)
callback.writer("train").add_text("by hand", "text")
model.fit(x, y, batch_size=8, initial_epoch=3, epochs=4, callbacks=[callback], verbose=0)
assert not {"tensorflow", "torch.utils.tensorboard"} & set(sys.modules)
"""


@pytest.fixture(params=["torch", "jax"])
def on_backend(request, run):
    """Return a function that runs programs on a given backend."""
    need_package(request.param, "frameworks")
    return lambda *sources: run(*sources, KERAS_BACKEND=request.param)


def test_a_training_is_logged_as_by_the_callback_of_keras(on_backend, tmp_path):
    """Metrics by epoch, batch and iteration have the tags, steps and runs of Keras' own callback."""
    on_backend(TRAINING, FIT)
    train, validation = points(tmp_path / "logs/train"), points(tmp_path / "logs/validation")
    assert [step for step, _ in train["epoch_loss"]] == [0, 1, 2, 3]
    assert [value for _, value in train["epoch_learning_rate"]] == [pytest.approx(0.01)] * 4
    assert [step for step, _ in train["batch_mae"]] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20]
    assert all(value > 0 for tag in ("batch", "epoch") for _, value in train[f"{tag}_steps_per_second"])
    assert [step for step, _ in validation["epoch_mae"]] == [0, 1, 2]
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [5, 10, 15]


def test_weights_and_layers_are_logged(on_backend, tmp_path):
    """Weight histograms arrive at the requested epochs, and TensorBoard can draw the layers."""
    on_backend(TRAINING, FIT)
    found = accumulator(tmp_path / "logs/train")
    assert {"last/kernel/histogram", "last/bias/histogram"} <= set(found.Tags()["histograms"])
    assert [event.step for event in found.Histograms("last/kernel/histogram")] == [0, 2]
    assert found.SummaryMetadata("keras").plugin_data.plugin_name == "graph_keras_model"
    (described,) = found.Tensors("keras")
    assert b"Functional" in described.tensor_proto.string_val[0]


def test_batches_are_not_called_for_where_nobody_asked(on_backend, tmp_path):
    """By default only epochs are logged, so the callback never makes Keras wait for a batch."""
    on_backend(
        TRAINING,
        """
callback = TensorBoard("logs")
assert callback.async_safe
model.fit(x, y, batch_size=8, epochs=2, callbacks=[callback], verbose=0)
model.evaluate(x, y, callbacks=[callback], verbose=0)
try:
    TensorBoard("logs", update_freq="never")
except ValueError as error:
    assert "'never'" in str(error)
else:
    raise AssertionError
""",
    )
    assert set(points(tmp_path / "logs/train")) == {"epoch_loss", "epoch_mae", "epoch_learning_rate"}
    assert set(points(tmp_path / "logs/validation")) == {
        "evaluation_loss_vs_iterations",
        "evaluation_mae_vs_iterations",
    }
