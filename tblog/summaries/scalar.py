"""One number, in the three forms that the originals write. The plain one is the worker's hot path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tblog.summaries._shapes import check_text

if TYPE_CHECKING:
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import DescribedScalarRecord, ScalarRecord, TensorScalarRecord
    from tblog.summaries import EncodeContext


def check_scalar(_record: ScalarRecord | TensorScalarRecord) -> None:
    """Check nothing: a value that is no number was refused when it was read."""


check_tensor_scalar = check_scalar


def check_described_scalar(record: DescribedScalarRecord) -> None:
    """Check that title and description are text.

    Raises:
        InvalidTypeError: one is no string.
        InvalidValueError: one cannot be encoded as UTF-8.
    """
    check_text(record.display_name, f"scalar {record.tag!r}: display_name")
    check_text(record.description, f"scalar {record.tag!r}: description")


def encode_scalar(record: ScalarRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a number as a `simple_value`, a float32."""
    from tensorboardX.proto.summary_pb2 import Summary

    return [Summary(value=[Summary.Value(tag=record.tag, simple_value=float(record.value))])]


def encode_described_scalar(record: DescribedScalarRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a number with the title and the description that TensorBoard shows."""
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    metadata = SummaryMetadata(display_name=record.display_name, summary_description=record.description)
    value = Summary.Value(tag=record.tag, simple_value=float(record.value), metadata=metadata)
    return [Summary(value=[value])]


def encode_tensor_scalar(record: TensorScalarRecord, _context: EncodeContext) -> list[Summary]:
    """Encode a number as a tensor of one float32 or float64, marked for the scalars dashboard."""
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboardX.proto.tensor_pb2 import TensorProto

    number = float(record.value)
    if record.double_precision:
        tensor = TensorProto(dtype="DT_DOUBLE", double_val=[number])
    else:
        tensor = TensorProto(dtype="DT_FLOAT", float_val=[number])
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    return [Summary(value=[Summary.Value(tag=record.tag, tensor=tensor, metadata=metadata)])]
