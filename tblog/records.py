"""What is logged, as plain data: one small record type for each kind of summary.

A record owns its arrays. Whoever builds one hands them over and changes them no more; the
`add_*` methods of `SummaryWriter` take a copy first. An array is a numpy array, a CPU torch tensor,
or anything else that is `Deferred`: it knows its size and makes its numpy array when the worker
thread asks for it. Grids, overlays and copies that still travel from a GPU are logged that way.

No code runs here and nothing is checked beyond what a type says: `tblog.summaries` turns records
into messages, on the worker thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class Deferred(Protocol):
    """An array that is made when the worker thread asks for it."""

    @property
    def nbytes(self) -> int:
        """Return the bytes of memory held until then, for the queue's bound."""
        ...

    def numpy(self) -> NDArray[Any]:
        """Return the array. Called once, on the worker thread."""
        ...


Array: TypeAlias = "NDArray[Any] | Deferred"

IS_ARRAY = "is_array"
"""Marks the fields of a record that hold an `Array`, in their metadata."""
_ARRAY = {IS_ARRAY: True}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Record:
    """The base of all records: a tag, which names a series in its run."""

    tag: str


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScalarRecord(Record):
    """One number. `value` may be anything with `__float__`; the format keeps it as float32."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TensorScalarRecord(Record):
    """One number in a tensor (torch's `new_style`), as float32, or float64 if `double_precision`."""

    value: Any
    double_precision: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DescribedScalarRecord(Record):
    """One number with the title and the description that TensorBoard shows (tensorboardX)."""

    value: Any
    display_name: str = ""
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HistogramRecord(Record):
    """The distribution of `values` (any shape, any real dtype).

    `bins` is "tensorflow" (1,549 exponential bins), another name that `numpy.histogram` knows,
    a number of bins, or a sequence of edges. `max_bins` merges neighbours until so many are left.
    """

    values: Array = field(metadata=_ARRAY)
    bins: Any = "tensorflow"
    max_bins: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CountedHistogramRecord(Record):
    """A distribution of `size` values that was counted where they lie, over the "tensorflow" bins.

    `figures` is float64 of shape (1553,): the count of each of the 1,548 bins, then of the finite values
    their number, smallest, largest, sum and sum of squares. `max_bins` is as in `HistogramRecord`.
    """

    figures: Array = field(metadata=_ARRAY)
    size: int
    max_bins: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawHistogramRecord(Record):
    """A histogram that the caller counted: `bucket_limits` are the upper edges, as many as counts."""

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    bucket_limits: Sequence[float] | NDArray[Any]
    bucket_counts: Sequence[float] | NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ImageRecord(Record):
    """One image, or a batch that is drawn as one grid.

    `image` is uint8 in [0, 255] or float in [0, 1], its axes named by `dataformats` from the
    letters N, C, H, W in any order ("CHW", "HWC", "HW", "NCHW", ...). `boxes` are (n, 4) pixel
    coordinates xmin, ymin, xmax, ymax, drawn in red, with `labels` beside them. `rescale` scales
    both sides of the picture.
    """

    image: Array = field(metadata=_ARRAY)
    dataformats: str = "CHW"
    rescale: float = 1.0
    boxes: Array | None = field(default=None, metadata=_ARRAY)
    labels: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VideoRecord(Record):
    """A moving picture: `frames` as `dataformats` says (default (N, T, C, H, W)), `fps` a second."""

    frames: Array = field(metadata=_ARRAY)
    fps: float = 4
    dataformats: str = "NTCHW"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AudioRecord(Record):
    """Sound in [-1, 1]: `samples` of shape (L,), or (L, C) or (C, L) for C channels."""

    samples: Array = field(metadata=_ARRAY)
    sample_rate: int = 44100


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextRecord(Record):
    """A text, which TensorBoard renders as Markdown.

    `text` is a string, or what makes one: the worker thread asks for its `str()`, and nothing else of it.
    """

    text: object


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TensorRecord(Record):
    """A tensor of any shape, kept with its dtype (torch's `add_tensor`).

    numpy has no bfloat16 and no float8: `dtype` then names the torch dtype that the array was
    widened from ("bfloat16"), and None says that the array's own dtype is meant.
    """

    tensor: Array = field(metadata=_ARRAY)
    dtype: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PrCurveRecord(Record):
    """A precision-recall curve of `predictions` in [0, 1] against true or false `labels`."""

    labels: Array = field(metadata=_ARRAY)
    predictions: Array = field(metadata=_ARRAY)
    num_thresholds: int = 127
    weights: Array | float | None = field(default=None, metadata=_ARRAY)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawPrCurveRecord(Record):
    """A precision-recall curve that the caller counted, `num_thresholds` values in each array."""

    true_positive_counts: Array = field(metadata=_ARRAY)
    false_positive_counts: Array = field(metadata=_ARRAY)
    true_negative_counts: Array = field(metadata=_ARRAY)
    false_negative_counts: Array = field(metadata=_ARRAY)
    precision: Array = field(metadata=_ARRAY)
    recall: Array = field(metadata=_ARRAY)
    num_thresholds: int = 127
    weights: Array | float | None = field(default=None, metadata=_ARRAY)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeshRecord(Record):
    """Point clouds or meshes: `vertices` (B, N, 3), `colors` (B, N, 3) and `faces` (B, M, 3)."""

    vertices: Array = field(metadata=_ARRAY)
    colors: Array | None = field(default=None, metadata=_ARRAY)
    faces: Array | None = field(default=None, metadata=_ARRAY)
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CustomScalarsRecord(Record):
    """The layout of the Custom Scalars page: {category: {title: ["Multiline" | "Margin", [tags]]}}."""

    tag: str = "custom_scalars__config__"
    layout: Mapping[str, Mapping[str, Sequence[Any]]]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HparamsRecord(Record):
    """The hyperparameters of a run, and the tags of the metrics that judge it."""

    tag: str = "_hparams_"
    hparams: Mapping[str, bool | float | str | None]
    metrics: Sequence[str] = ()
    domains: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EmbeddingRecord(Record):
    """Points for the projector: `matrix` (N, D), one of `labels` and one image for each if given.

    Each label is a string, or a sequence of strings if `header` names the columns. `images` are
    (N, C, H, H), floats in [0, 1] or uint8.
    """

    matrix: Array = field(metadata=_ARRAY)
    labels: Sequence[Any] | None = None
    images: Array | None = field(default=None, metadata=_ARRAY)
    header: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GraphRecord(Record):
    """A computation graph: a serialised GraphDef, or an object whose `SerializeToString` gives one."""

    tag: str = "graph"
    graph_def: Any
    run_metadata: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SummaryRecord(Record):
    """A Summary message of any package, serialised: written as it is."""

    tag: str = "summary"
    summary: bytes


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class EventRecord(Record):
    """An Event message of any package, serialised: written as it is, step and time included."""

    tag: str = "event"
    event: bytes
