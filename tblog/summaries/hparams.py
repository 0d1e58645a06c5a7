"""The hyperparameters of a run: one event each for the experiment, the start and the end of the session."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tblog._values.checks import check_text
from tblog.errors import InvalidTypeError, InvalidValueError, shortened

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from tensorboardX.proto.summary_pb2 import Summary

    from tblog.records import HparamsRecord
    from tblog.summaries._context import EncodeContext

# By the field of google.protobuf.Value: DataType.
_DATA_TYPES = {
    "bool_value": "DATA_TYPE_BOOL",
    "number_value": "DATA_TYPE_FLOAT64",
    "string_value": "DATA_TYPE_STRING",
}


def check_hparams(record: HparamsRecord) -> None:
    """Check that each hyperparameter is a bool, a number, a string or None, and its domain has the same type.

    Raises:
        InvalidValueError: a hyperparameter has another type, or UTF-8 cannot encode a name or text.
        InvalidTypeError: a name or a metric is not a string, or a domain is not a list, has another type, or
            belongs to no hyperparameter.
    """
    for name in (*record.hparams, *record.metrics):
        check_text(name, "the name of a hyperparameter or metric")
    if not isinstance(record.domains, Mapping):
        raise InvalidTypeError(
            f"the domains of hyperparameters were {shortened(record.domains)}; give a dict of lists"
        )
    fields = {name: _field(name, value) for name, value in _given(record).items()}
    for name, domain in record.domains.items():
        if name in record.hparams and isinstance(domain, (list, tuple)):
            own = fields.get(name)
            if all(own in {None, _field(name, value)} for value in domain):
                continue
        raise InvalidTypeError(
            f"the domain of the hyperparameter {name!r} was {shortened(domain)}; give a list of values of the type "
            f"of the hyperparameter, which was {shortened(record.hparams.get(name))}"
        )


def encode_hparams(record: HparamsRecord, _context: EncodeContext) -> list[Summary]:
    """Encode the three summaries. A hyperparameter that is None is left out."""
    from google.protobuf.struct_pb2 import ListValue
    from tensorboardX.proto.api_pb2 import Experiment, HParamInfo, MetricInfo, MetricName, Status
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo

    experiment, start = Experiment(), SessionStartInfo()
    for name, given in _given(record).items():
        field = _field(name, given)
        setattr(start.hparams[name], field, _plain(given))
        info = HParamInfo(name=name, type=_DATA_TYPES[field])
        if name in record.domains:
            values = [{field: _plain(value)} for value in record.domains[name]]
            info.domain_discrete.CopyFrom(ListValue(values=values))
        experiment.hparam_infos.append(info)
    experiment.metric_infos.extend(MetricInfo(name=MetricName(tag=tag)) for tag in record.metrics)
    end = SessionEndInfo(status=Status.Value("STATUS_SUCCESS"))
    return [
        _summary("experiment", HParamsPluginData(experiment=experiment)),
        _summary("session_start_info", HParamsPluginData(session_start_info=start)),
        _summary("session_end_info", HParamsPluginData(session_end_info=end)),
    ]


def _given(record: HparamsRecord) -> dict[str, Any]:
    return {name: value for name, value in record.hparams.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return the value of a numpy scalar or a tensor of one element, and anything else unchanged."""
    try:
        return value.item()
    except (
        AttributeError,
        ValueError,
        RuntimeError,
    ):  # the last two: more than one element, in numpy and in torch
        return value


def _field(name: str, value: Any) -> str:
    """Return the field of google.protobuf.Value for a value's type. Booleans stay booleans."""
    plain = _plain(value)
    if isinstance(plain, bool):
        return "bool_value"
    if isinstance(plain, float) or (isinstance(plain, int) and abs(plain) <= sys.float_info.max):
        return "number_value"
    if isinstance(plain, str):
        check_text(plain, f"the hyperparameter {name!r}")
        return "string_value"
    raise InvalidValueError(
        f"the hyperparameter {name!r} was {shortened(value)} of type {type(value).__name__}; "
        "give a bool, a number that float64 can hold, a str or None"
    )


def _summary(name: str, data: Message) -> Summary:
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    plugin_data = SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
    metadata = SummaryMetadata(plugin_data=plugin_data)
    return Summary(value=[Summary.Value(tag=f"_hparams_/{name}", metadata=metadata)])
