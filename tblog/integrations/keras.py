"""`TensorBoard`: Keras 3's callback for TensorBoard, written through tblog. It needs no TensorFlow.

docs/frameworks.md says what differs from Keras' own.
"""

from __future__ import annotations

import os
import time
import warnings
from typing import Any, Literal

from tblog.errors import InvalidValueError, MissingDependencyError, shortened
from tblog.integrations._named_values import log_values
from tblog.options import WriterOptions
from tblog.writer import SummaryWriter

try:
    from keras import Sequential, callbacks
except ModuleNotFoundError as error:
    raise MissingDependencyError("keras", "keras", __name__) from error

__all__ = ["TensorBoard"]


class TensorBoard(callbacks.Callback):
    """Log `fit` and `evaluate` to the runs `log_dir/train` and `log_dir/validation`.

    The tags are those of Keras' own callback: `epoch_<metric>` and `epoch_learning_rate` by epoch,
    `batch_<metric>` by batch, `evaluation_<metric>_vs_iterations` by the optimizer's iterations.

    Args:
        log_dir: directory of both runs.
        histogram_freq: log histograms of all weights every so many epochs; 0 logs none.
        write_graph: log the model's layers, which TensorBoard shows as the conceptual graph.
        write_steps_per_second: log the steps per second of each epoch, and of batches as `update_freq` says.
        update_freq: "epoch", "batch", or a number: log every so many batches.
        options: options of the writers.

    Raises:
        InvalidValueError: `update_freq` is none of these.

    Example:
        >>> import keras
        >>> import numpy as np
        >>> from tblog.integrations.keras import TensorBoard
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> _ = model.fit(np.ones((8, 3)), np.ones((8, 1)), epochs=2, verbose=0, callbacks=[TensorBoard("logs")])
        >>> import tblog
        >>> tblog.read("logs")["train"].tags["scalars"]
        ['epoch_learning_rate', 'epoch_loss']
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_steps_per_second: bool = False,
        update_freq: int | Literal["epoch", "batch"] = "epoch",
        *,
        options: WriterOptions | None = None,
    ) -> None:
        super().__init__()
        if update_freq not in {"epoch", "batch"} and not (isinstance(update_freq, int) and update_freq > 0):
            raise InvalidValueError(
                f'TensorBoard: update_freq was {shortened(update_freq)}; give "epoch", "batch" or a number of batches'
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        # If only epochs are logged, Keras need not wait for the callback at each batch. If batches are logged, it
        # must: otherwise it calls from several threads, in any order.
        self.async_safe = update_freq == "epoch"
        self._options = options
        self._writers: dict[str, SummaryWriter] = {}
        self._batches = 0  # of all epochs before this one
        self._last_batch = -1
        self._epoch_began = self._batch_began = 0.0

    def writer(self, run: Literal["train", "validation"]) -> SummaryWriter:
        """Return the writer of a run, for all other kinds of records. The first use opens it."""
        if run not in self._writers:
            self._writers[run] = SummaryWriter(os.path.join(self.log_dir, run), options=self._options)
        return self._writers[run]

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras names it
        """Log the layers, and count batches from the optimizer's iterations on."""
        self._batches, self._last_batch = self._iterations(), -1
        if self.write_graph:
            self.write_graph = False
            self._log_layers()

    def on_epoch_begin(self, _epoch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras names it
        """Note when it began."""
        self._epoch_began = time.perf_counter()

    def on_train_batch_begin(self, _batch: int, logs: Any = None) -> None:  # noqa: ARG002 - Keras names it
        """Note when it began."""
        self._batch_began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the metrics of a batch, as often as `update_freq` says."""
        if self.update_freq == "epoch":
            return
        speed = {"steps_per_second": (batch - self._last_batch) / (time.perf_counter() - self._batch_began)}
        self._last_batch = batch
        step = self._batches + batch + 1
        if step % self.update_freq == 0:
            self._log(
                "train", "batch", {**(logs or {}), **(speed if self.write_steps_per_second else {})}, step
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log the metrics of an epoch, and the weights as often as `histogram_freq` says."""
        logs = dict(logs or {})
        validation = {
            name.removeprefix("val_"): logs.pop(name) for name in list(logs) if name.startswith("val_")
        }
        before, self._batches, self._last_batch = self._batches, self._iterations(), -1
        if self.write_steps_per_second:
            logs["steps_per_second"] = (self._batches - before) / (time.perf_counter() - self._epoch_began)
        logs.update(self._learning_rates())
        self._log("train", "epoch", logs, epoch)
        if validation:
            self._log("validation", "epoch", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for layer in self.model.layers:
                for weight in layer.weights:
                    self.writer("train").add_histogram(f"{weight.path}/histogram", weight.value, epoch)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Log the metrics of an evaluation, also of the one at the end of an epoch."""
        named = {f"{name}_vs_iterations": value for name, value in (logs or {}).items()}
        if named and self.model.optimizer is not None:
            self._log("validation", "evaluation", named, self._iterations())

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras names it
        """Write what is left and close the files. A later `fit` opens new files in the same runs."""
        for writer in self._writers.values():
            writer.close()

    def _log(self, run: Literal["train", "validation"], group: str, logs: dict[str, Any], step: int) -> None:
        log_values(self.writer(run), {f"{group}_{name}": value for name, value in logs.items()}, step)

    def _iterations(self) -> int:
        return int(self.model.optimizer.iterations) if self.model.optimizer is not None else 0

    def _learning_rates(self) -> dict[str, float]:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        several = getattr(optimizer, "optimizers", None)
        if several:
            return {f"learning_rate_{each.name}": float(each.learning_rate) for each in several}
        return {} if optimizer is None else {"learning_rate": float(optimizer.learning_rate)}

    def _log_layers(self) -> None:
        """Log the model's configuration, from which TensorBoard draws its conceptual graph."""
        if not (isinstance(self.model, Sequential) or type(self.model).__name__ == "Functional"):
            return
        try:
            described = self.model.to_json()
        except Exception as error:
            warnings.warn(f"tblog: the layers of {self.model.name!r} are not drawn: {error}", stacklevel=2)
            return
        from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboardX.proto.tensor_pb2 import TensorProto

        plugin = SummaryMetadata.PluginData(plugin_name="graph_keras_model", content=b"1")
        value = Summary.Value(
            tag="keras",
            metadata=SummaryMetadata(plugin_data=plugin),
            tensor=TensorProto(dtype="DT_STRING", string_val=[described.encode()]),
        )
        self.writer("train")._get_file_writer().add_summary(Summary(value=[value]), 0)  # noqa: SLF001 - our own
