"""Writes this folder's event files as TensorFlow 2, CLU, Keras and TensorFlow 1 write them.

The files are kept because TensorFlow is large: python -m pip install tensorflow-cpu tensorboard clu, and then
python write.py FOLDER. Their names were shortened afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

STEPS = 30


def tensorflow_2(logdir: str, rng: np.random.Generator) -> None:
    """New-style summaries of each kind."""
    import tensorflow as tf

    with tf.summary.create_file_writer(logdir).as_default():
        for step in range(STEPS):
            tf.summary.scalar("loss", np.float32(step / 3), step=step)
            tf.summary.scalar(
                "exact", tf.constant(step / 3, tf.float64), step=step
            )  # which makes it a float32
        tf.summary.histogram("weights", rng.normal(size=100), step=1, buckets=10)
        tf.summary.histogram("constant", np.ones(5), step=1)
        tf.summary.image("noise", rng.random((3, 4, 5, 3)), step=2, max_outputs=2)
        tf.summary.audio("beep", rng.uniform(-1, 1, (2, 40, 1)).astype("float32"), 8000, step=3)
        tf.summary.text("note", "hello *there*", step=4)
        tf.summary.text("table", [["a", "b"], ["c", "d"]], step=4)
        tf.summary.write("tensor", np.arange(6.0).reshape(2, 3), step=5)
        tf.summary.trace_on(graph=True)
        tf.function(lambda x: tf.nn.relu(x @ x))(tf.ones((2, 2)))
        tf.summary.trace_export("traced", step=0)


def clu(logdir: str, rng: np.random.Generator) -> None:
    """What JAX programs write."""
    from clu import metric_writers

    writer = metric_writers.SummaryWriter(logdir)
    for step in range(STEPS):
        writer.write_scalars(step, {"loss": step / 3, "acc": step * 2})
    writer.write_histograms(1, {"weights": rng.normal(size=50)}, num_buckets={"weights": 6})
    writer.write_images(2, {"noise": rng.random((1, 4, 5, 3))})
    writer.write_texts(3, {"note": "hello"})
    writer.write_hparams({"lr": 0.1, "layers": 2, "name": "x"})
    writer.write_audios(4, {"beep": rng.uniform(-1, 1, (1, 40, 1)).astype("float32")}, sample_rate=8000)
    writer.close()


def keras(logdir: str) -> None:
    """The Keras callback, with its runs for training and validation."""
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    held_out = (np.zeros((4, 3)), np.zeros((4, 2)))
    callback = keras.callbacks.TensorBoard(logdir, histogram_freq=1, write_graph=True)
    model.fit(
        np.zeros((8, 3)),
        np.zeros((8, 2)),
        epochs=3,
        validation_data=held_out,
        verbose=0,
        callbacks=[callback],
    )


def tensorflow_1(logdir: str) -> None:
    """Old-style summaries, a graph, and a session that restarts at step 6."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [])
        summaries = v1.summary.merge(
            [
                v1.summary.scalar("loss", x),
                v1.summary.histogram("h", tf.stack([x, x + 1])),
                v1.summary.image("i", tf.zeros((1, 4, 4, 3))),
                v1.summary.text("t", tf.strings.as_string(x)),
            ]
        )
        writer = v1.summary.FileWriter(logdir, session.graph)
        for step in range(10):
            writer.add_summary(session.run(summaries, {x: step}), step)
        writer.add_session_log(v1.SessionLog(status=v1.SessionLog.START), 6)
        for step in range(6, 9):
            writer.add_summary(session.run(summaries, {x: 10 + step}), step)
        writer.close()


if __name__ == "__main__":
    folder, numbers = Path(sys.argv[1]), np.random.default_rng(0)
    tensorflow_2(str(folder / "tf2"), numbers)
    clu(str(folder / "clu"), numbers)
    keras(str(folder / "keras"))
    tensorflow_1(str(folder / "tf1"))
