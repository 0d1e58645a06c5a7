"""tblog without its compiled module, as installed without a compiler."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.peers import tblog_writer

PEER = replace(
    tblog_writer.PEER,
    name="tblog-pure",
    label="tblog, pure Python",
    questions=frozenset(range(1, 6)),
    environment={"TBLOG_PURE": "1"},
)
