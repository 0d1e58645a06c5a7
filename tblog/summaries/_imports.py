"""What the encoder of each kind imports, so that it can be loaded at a moment when a fork waits.

A child that is forked in the middle of an import waits for ever when it imports the same module. So the
encoder thread loads what a record needs while it holds a lock that forks wait for, and imports nothing while
it encodes.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tblog import records

_PROTO = "tensorboardX.proto."
_DRAWING = ("PIL.Image", "PIL.ImageDraw", "PIL.ImageFont")
# What Pillow loads at the first picture that it saves.
_FORMATS = tuple(f"PIL.{name}ImagePlugin" for name in ("Bmp", "Gif", "Jpeg", "Ppm", "Png"))

_NEEDS: dict[type[records.Record], tuple[str, ...]] = {
    records.HistogramRecord: (_PROTO + "summary_pb2",),
    records.CountedHistogramRecord: (_PROTO + "summary_pb2",),
    records.RawHistogramRecord: (_PROTO + "summary_pb2",),
    # Pictures that adapters draw when they are asked for have captions.
    records.ImageRecord: (_PROTO + "summary_pb2", *_DRAWING),
    records.VideoRecord: (_PROTO + "summary_pb2", *_DRAWING, *_FORMATS),
    records.AudioRecord: (_PROTO + "summary_pb2",),
    records.TextRecord: ("tensorboardX.summary",),
    records.TensorRecord: (_PROTO + "summary_pb2", _PROTO + "tensor_pb2", _PROTO + "types_pb2"),
    records.PrCurveRecord: ("tensorboardX.summary",),
    records.RawPrCurveRecord: ("tensorboardX.summary",),
    records.MeshRecord: ("tensorboardX.summary", _PROTO + "plugin_mesh_pb2"),
    records.CustomScalarsRecord: ("tensorboardX.summary",),
    records.HparamsRecord: ("tensorboardX.summary", _PROTO + "plugin_hparams_pb2", _PROTO + "api_pb2"),
    records.EmbeddingRecord: ("google.protobuf.text_encoding", "tblog.summaries.embedding"),
    records.GraphRecord: ("tblog.graph._encode", _PROTO + "graph_pb2", _PROTO + "types_pb2"),
}


def is_loaded(record: records.Record) -> bool:
    """Return whether encoding a record imports nothing any more."""
    return all(name in sys.modules for name in _needs(record))


def load(record: records.Record) -> None:
    """Import all that encoding a record needs."""
    for name in _needs(record):
        import_module(name)


def _needs(record: records.Record) -> tuple[str, ...]:
    return next((_NEEDS[base] for base in type(record).__mro__ if base in _NEEDS), ())
