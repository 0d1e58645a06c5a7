"""The table of all kinds: the check of a record, its encoder, and the modules that the encoder imports.

A child that is forked during an import waits forever when it imports the same module. So the
encoder thread imports the modules of a kind while it holds a lock that forks wait for, and imports nothing while
it encodes.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from tblog import records
from tblog.summaries.audio import check_audio, encode_audio
from tblog.summaries.custom_scalars import check_custom_scalars, encode_custom_scalars
from tblog.summaries.embedding import check_embedding
from tblog.summaries.histogram import (
    check_counted_histogram,
    check_histogram,
    check_raw_histogram,
    encode_counted_histogram,
    encode_histogram,
    encode_raw_histogram,
    has_tensorflow_bins,
)
from tblog.summaries.hparams import check_hparams, encode_hparams
from tblog.summaries.image import check_image, encode_image, is_plain_image
from tblog.summaries.mesh import check_mesh, encode_mesh
from tblog.summaries.pr_curve import check_pr_curve, check_raw_pr_curve, encode_pr_curve, encode_raw_pr_curve
from tblog.summaries.scalar import (
    check_described_scalar,
    check_scalar,
    encode_described_scalar,
    encode_scalar,
    encode_tensor_scalar,
)
from tblog.summaries.tensor import check_tensor, encode_tensor
from tblog.summaries.text import check_text, encode_text
from tblog.summaries.video import check_video, encode_video

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.summaries._context import EncodeContext

    Encoder: TypeAlias = Callable[[Any, EncodeContext], "list[Summary] | list[bytes]"]


def _never(_record: records.Record) -> bool:
    return False


class Kind(NamedTuple):
    """The functions and modules of a kind of record.

    Attributes:
        check: runs on the caller's thread, and looks only at shapes and types.
        encode: runs on the encoder thread. None for a kind that is not a summary.
        needs: the modules that the encoder imports.
        is_plain: whether a record can be encoded without them.
    """

    check: Callable[[Any], None]
    encode: Encoder | None
    needs: tuple[str, ...] = ()
    is_plain: Callable[[Any], bool] = _never


def _pass(_record: records.Record) -> None:
    """Check nothing: the maker of the record has checked it."""


# What numpy imports for percentiles, which "auto" and other bins and the overlays of adapters need.
_PERCENTILES = ("numpy.ma",)
_BUILDERS = ("tensorboardX.summary",)
_PICTURES = ("PIL.Image", "PIL.ImageDraw", "PIL.ImageFont")
# The modules that Pillow imports when it saves the first image, and since Python 3.15 its lazy imports.
_FORMATS = (
    *(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Ppm", "Png")),
    "PIL._binary",
    "PIL._util",
)
_MESHES = ("tensorboardX.proto.plugin_mesh_pb2",)
_HPARAMS = (*_BUILDERS, "tensorboardX.proto.plugin_hparams_pb2", "tensorboardX.proto.api_pb2")
_GRAPHS = ("tblog.graph._encode", "tensorboardX.proto.graph_pb2", "tensorboardX.proto.types_pb2")

KINDS: dict[type[records.Record], Kind] = {
    records.ScalarRecord: Kind(check_scalar, encode_scalar),
    records.TensorScalarRecord: Kind(check_scalar, encode_tensor_scalar),
    records.DescribedScalarRecord: Kind(check_described_scalar, encode_described_scalar),
    records.HistogramRecord: Kind(check_histogram, encode_histogram, _PERCENTILES, has_tensorflow_bins),
    records.CountedHistogramRecord: Kind(check_counted_histogram, encode_counted_histogram),
    records.RawHistogramRecord: Kind(check_raw_histogram, encode_raw_histogram),
    records.ImageRecord: Kind(check_image, encode_image, (*_PICTURES, *_PERCENTILES), is_plain_image),
    records.VideoRecord: Kind(check_video, encode_video, (*_PICTURES, *_FORMATS)),
    records.AudioRecord: Kind(check_audio, encode_audio),
    records.TextRecord: Kind(check_text, encode_text),
    records.TensorRecord: Kind(check_tensor, encode_tensor),
    records.PrCurveRecord: Kind(check_pr_curve, encode_pr_curve),
    records.RawPrCurveRecord: Kind(check_raw_pr_curve, encode_raw_pr_curve),
    records.MeshRecord: Kind(check_mesh, encode_mesh, _MESHES),
    records.CustomScalarsRecord: Kind(check_custom_scalars, encode_custom_scalars, _BUILDERS),
    records.HparamsRecord: Kind(check_hparams, encode_hparams, _HPARAMS),
    # These are not summaries.
    records.EmbeddingRecord: Kind(check_embedding, None, ("google.protobuf.text_encoding",)),
    records.GraphRecord: Kind(_pass, None, _GRAPHS),
    records.SummaryRecord: Kind(_pass, None),
    records.EventRecord: Kind(_pass, None),
}


def kind_of(record: records.Record) -> Kind | None:
    """Return the kind of a record's class or of a base class, or None if there is none."""
    return next((KINDS[base] for base in type(record).__mro__ if base in KINDS), None)


def load(record: records.Record) -> None:
    """Import all modules that encoding a record needs. Only the first record of a kind needs an import."""
    kind = kind_of(record)
    if kind is not None and not kind.is_plain(record):
        for name in kind.needs:
            import_module(name)
