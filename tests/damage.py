"""Damage of all sorts to the bytes of a file, for property tests."""

from __future__ import annotations

from hypothesis import strategies as st


def damage(data: st.DataObject, raw: bytearray) -> None:
    """Flip bits, cut bytes out, insert some or tear the end off, in place and wherever Hypothesis draws it."""
    at = data.draw(st.integers(0, len(raw)))
    match data.draw(st.sampled_from(["flip", "cut", "insert", "tear"])):
        case "flip":
            raw[at : at + 1] = bytes(byte ^ data.draw(st.integers(1, 255)) for byte in raw[at : at + 1])
        case "cut":
            del raw[at : at + data.draw(st.integers(1, 300))]
        case "insert":
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=40))
        case _:
            del raw[max(at, len(raw) // 2) :]
