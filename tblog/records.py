"""What is logged, as plain data: one small record type for each kind of summary.

The `add_*` methods of `SummaryWriter` build records. Adapters and your own code can build them, too:

    >>> from tblog import SummaryWriter
    >>> from tblog.records import ScalarRecord, TextRecord
    >>> with SummaryWriter("runs/records") as writer:
    ...     writer.add_records([ScalarRecord(tag="loss", value=0.5), TextRecord(tag="note", text="hello")], 1)

A record owns its arrays: do not change an array after you put it into a record. The `add_*` methods
copy theirs first. An array is a numpy array, a CPU torch tensor, or any `Deferred` object. A `Deferred`
object knows its size, and makes its numpy array when the worker thread asks for it. Grids, overlays and
copies from a GPU are logged this way.

This module only holds data. `tblog.summaries` checks records and encodes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class Deferred(Protocol):
    """An array that is made when the worker thread asks for it.

    Example:
        >>> import numpy as np
        >>> from tblog.records import Deferred, ImageRecord
        >>> class Noise:
        ...     nbytes = 0
        ...     def numpy(self):
        ...         return np.random.default_rng(0).random((3, 32, 32))
        >>> isinstance(Noise(), Deferred)
        True
        >>> record = ImageRecord(tag="noise", image=Noise())
    """

    @property
    def nbytes(self) -> int:
        """Return the bytes of memory that it holds until then. They count towards `max_queue_bytes`."""
        ...

    def numpy(self) -> NDArray[Any]:
        """Return the array. The worker thread calls this once."""
        ...


Array: TypeAlias = "NDArray[Any] | Deferred"

IS_ARRAY = "is_array"
"""Marks the fields of a record that hold an `Array`, in their metadata."""
_ARRAY = {IS_ARRAY: True}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class Record:
    """The base of all records. `tag` names a series within its run.

    Example:
        >>> from tblog.records import Record, ScalarRecord
        >>> isinstance(ScalarRecord(tag="loss", value=0.5), Record)
        True
    """

    tag: str

    @recursive_repr()
    def __repr__(self) -> str:  # one for all: each that `dataclass` makes takes time at the import
        values = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self))
        return f"{type(self).__qualname__}({values})"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ScalarRecord(Record):
    """One number. `value` is any object with `__float__`. The format stores it as float32.

    Example:
        >>> from tblog.records import ScalarRecord
        >>> ScalarRecord(tag="loss", value=0.5)
        ScalarRecord(tag='loss', value=0.5)
    """

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TensorScalarRecord(Record):
    """One number, stored as a tensor (torch's `new_style`).

    The tensor is float32, or float64 with `double_precision`.

    Example:
        >>> from tblog.records import TensorScalarRecord
        >>> record = TensorScalarRecord(tag="loss", value=1e-300, double_precision=True)
    """

    value: Any
    double_precision: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class DescribedScalarRecord(Record):
    """One number with a title and a description for TensorBoard to show (tensorboardX).

    Example:
        >>> from tblog.records import DescribedScalarRecord
        >>> record = DescribedScalarRecord(
        ...     tag="loss", value=0.5, display_name="Loss", description="Mean cross-entropy of a batch"
        ... )
    """

    value: Any
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class HistogramRecord(Record):
    """The distribution of `values`, which have any shape and any real dtype.

    `bins` is "tensorflow" (1,549 exponential edges), another name that `numpy.histogram` accepts, a number
    of bins, or a sequence of edges. `max_bins` merges neighbouring bins until at most this many are left.

    Example:
        >>> import numpy as np
        >>> from tblog.records import HistogramRecord
        >>> record = HistogramRecord(tag="weights", values=np.random.default_rng(0).normal(size=1000))
    """

    values: Array = field(metadata=_ARRAY)
    bins: Any = "tensorflow"
    max_bins: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class CountedHistogramRecord(Record):
    """A distribution of `size` values that was counted in the call or on their own device, in the "tensorflow" bins.

    `figures` is float64 of shape (1553,). It holds the counts of the 1,548 bins, and then the number, minimum,
    maximum, sum and sum of squares of the finite values. `max_bins` works as in `HistogramRecord`.

    Example:
        >>> import numpy as np
        >>> from tblog.records import CountedHistogramRecord
        >>> figures = np.zeros(1553)
        >>> figures[774] = 10  # the bin around zero has ten zeros
        >>> figures[1548] = 10
        >>> record = CountedHistogramRecord(tag="zeros", figures=figures, size=10)
    """

    figures: Array = field(metadata=_ARRAY)
    size: int
    max_bins: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class RawHistogramRecord(Record):
    """A histogram that the caller counted. `bucket_limits` are the upper edges, one for each count.

    Example:
        >>> from tblog.records import RawHistogramRecord
        >>> record = RawHistogramRecord(
        ...     tag="sizes", min=0, max=2, num=3, sum=3, sum_squares=5, bucket_limits=[0, 1, 2], bucket_counts=[1, 1, 1]
        ... )
    """

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    bucket_limits: Sequence[float] | NDArray[Any]
    bucket_counts: Sequence[float] | NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class ImageRecord(Record):
    """One image, or a batch that is drawn as one grid.

    `image` is uint8 in [0, 255] or float in [0, 1]. `dataformats` names its axes by the letters N, C, H
    and W in any order ("CHW", "HWC", "HW", "NCHW", ...). `boxes` has shape (n, 4): the pixel coordinates
    xmin, ymin, xmax, ymax of rectangles to draw in red, with `labels` beside them. `rescale` is a factor
    for the width and the height of the picture.

    Example:
        >>> import numpy as np
        >>> from tblog.records import ImageRecord
        >>> record = ImageRecord(tag="sample", image=np.zeros((28, 28), np.uint8), dataformats="HW")
    """

    image: Array = field(metadata=_ARRAY)
    dataformats: str = "CHW"
    rescale: float = 1.0
    boxes: Array | None = field(default=None, metadata=_ARRAY)
    labels: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class VideoRecord(Record):
    """A video. `frames` has the axes that `dataformats` names, `fps` is in frames per second.

    Example:
        >>> import numpy as np
        >>> from tblog.records import VideoRecord
        >>> record = VideoRecord(tag="episode", frames=np.zeros((1, 8, 3, 32, 32), np.uint8), fps=8)
    """

    frames: Array = field(metadata=_ARRAY)
    fps: float = 4
    dataformats: str = "NTCHW"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class AudioRecord(Record):
    """Sound in [-1, 1]. `samples` has shape (L,), or (L, C) or (C, L) for C channels.

    Example:
        >>> import numpy as np
        >>> from tblog.records import AudioRecord
        >>> record = AudioRecord(tag="a4", samples=np.sin(np.arange(8000) / 8000 * 2 * np.pi * 440), sample_rate=8000)
    """

    samples: Array = field(metadata=_ARRAY)
    sample_rate: int = 44100


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TextRecord(Record):
    """A text, which TensorBoard renders as Markdown.

    `text` is a string, or an object whose `str()` the worker thread takes.

    Example:
        >>> from tblog.records import TextRecord
        >>> record = TextRecord(tag="notes", text="Learning rate **halved** at epoch 10.")
    """

    text: object


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class TensorRecord(Record):
    """A tensor of any shape, stored with its dtype (torch's `add_tensor`).

    numpy has neither bfloat16 nor float8. For those, `tensor` holds the widened values and `dtype` names the
    original torch dtype ("bfloat16"). With None, the dtype is that of `tensor`.

    Example:
        >>> import numpy as np
        >>> from tblog.records import TensorRecord
        >>> record = TensorRecord(tag="confusion", tensor=np.eye(3))
    """

    tensor: Array = field(metadata=_ARRAY)
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class PrCurveRecord(Record):
    """A precision-recall curve of `predictions` in [0, 1] against boolean `labels`.

    Example:
        >>> import numpy as np
        >>> from tblog.records import PrCurveRecord
        >>> record = PrCurveRecord(tag="cats", labels=np.array([0, 1, 1]), predictions=np.array([0.1, 0.4, 0.9]))
    """

    labels: Array = field(metadata=_ARRAY)
    predictions: Array = field(metadata=_ARRAY)
    num_thresholds: int = 127
    weights: Array | float | None = field(default=None, metadata=_ARRAY)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class RawPrCurveRecord(Record):
    """A precision-recall curve that the caller counted. Each array has `num_thresholds` values.

    Example:
        >>> import numpy as np
        >>> from tblog.records import RawPrCurveRecord
        >>> record = RawPrCurveRecord(
        ...     tag="cats",
        ...     true_positive_counts=np.array([75, 64, 21]),
        ...     false_positive_counts=np.array([150, 105, 18]),
        ...     true_negative_counts=np.array([0, 45, 132]),
        ...     false_negative_counts=np.array([0, 11, 54]),
        ...     precision=np.array([0.33, 0.38, 0.54]),
        ...     recall=np.array([1.0, 0.85, 0.28]),
        ...     num_thresholds=3,
        ... )
    """

    true_positive_counts: Array = field(metadata=_ARRAY)
    false_positive_counts: Array = field(metadata=_ARRAY)
    true_negative_counts: Array = field(metadata=_ARRAY)
    false_negative_counts: Array = field(metadata=_ARRAY)
    precision: Array = field(metadata=_ARRAY)
    recall: Array = field(metadata=_ARRAY)
    num_thresholds: int = 127
    weights: Array | float | None = field(default=None, metadata=_ARRAY)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class MeshRecord(Record):
    """Point clouds or meshes: `vertices` (B, N, 3), `colors` (B, N, 3) and `faces` (B, M, 3).

    Example:
        >>> import numpy as np
        >>> from tblog.records import MeshRecord
        >>> corners = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)
        >>> record = MeshRecord(tag="triangle", vertices=corners, faces=np.array([[[0, 1, 2]]]))
    """

    vertices: Array = field(metadata=_ARRAY)
    colors: Array | None = field(default=None, metadata=_ARRAY)
    faces: Array | None = field(default=None, metadata=_ARRAY)
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class CustomScalarsRecord(Record):
    """The layout of the Custom Scalars page: {category: {title: ["Multiline" | "Margin", [tags]]}}.

    Example:
        >>> from tblog.records import CustomScalarsRecord
        >>> record = CustomScalarsRecord(layout={"losses": {"both": ["Multiline", ["loss/train", "loss/test"]]}})
    """

    tag: str = "custom_scalars__config__"
    layout: Mapping[str, Mapping[str, Sequence[Any]]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class HparamsRecord(Record):
    """The hyperparameters of a run, and the tags of the metrics that rate it.

    Example:
        >>> from tblog.records import HparamsRecord
        >>> record = HparamsRecord(hparams={"lr": 0.1, "optimizer": "sgd"}, metrics=["accuracy"])
    """

    tag: str = "_hparams_"
    hparams: Mapping[str, bool | float | str | None]
    metrics: Sequence[str] = ()
    domains: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EmbeddingRecord(Record):
    """Points for the projector: `matrix` has shape (N, D).

    `labels` and `images` are optional and have one entry for each point. A label is a string, or a sequence
    of strings if `header` names the columns. `images` are (N, C, H, H), floats in [0, 1] or uint8.

    Example:
        >>> import numpy as np
        >>> from tblog.records import EmbeddingRecord
        >>> record = EmbeddingRecord(tag="words", matrix=np.eye(3), labels=["cat", "dog", "eel"])
    """

    matrix: Array = field(metadata=_ARRAY)
    labels: Sequence[Any] | None = None
    images: Array | None = field(default=None, metadata=_ARRAY)
    header: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class GraphRecord(Record):
    """A computation graph: a serialised GraphDef, or an object whose `SerializeToString` returns one.

    Example:
        >>> from tblog.graph import Graph, Node
        >>> from tblog.records import GraphRecord
        >>> record = GraphRecord(graph_def=Graph([Node("input", "Placeholder")], source="export"))
    """

    tag: str = "graph"
    graph_def: Any
    run_metadata: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class SummaryRecord(Record):
    """A serialised Summary message of any package. It is written unchanged.

    Example:
        >>> from tblog.records import SummaryRecord
        >>> from tensorboardX.summary import scalar
        >>> record = SummaryRecord(summary=scalar("loss", 0.5).SerializeToString())
    """

    tag: str = "summary"
    summary: bytes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, repr=False)
class EventRecord(Record):
    """A serialised Event message of any package. It is written unchanged, with its own step and time.

    Example:
        >>> from tblog.records import EventRecord
        >>> from tensorboardX.proto.event_pb2 import Event
        >>> record = EventRecord(event=Event(step=3, wall_time=1e9).SerializeToString())
    """

    tag: str = "event"
    event: bytes
