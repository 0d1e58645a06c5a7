"""What files keep until a sync has a bound for the whole process, and is given back."""

from __future__ import annotations

import pytest

from tblog._files import unsynced
from tblog._files.unsynced import Unsynced

BOUND = 100


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a room of its own, of `BOUND` bytes."""
    monkeypatch.setattr(unsynced, "_room", unsynced._Room())
    monkeypatch.setattr(unsynced, "MAX_BYTES", BOUND)


def kept(size: int) -> Unsynced:
    """Return a file's bytes, `size` of them."""
    file = Unsynced()
    file.add(bytearray(size), size)
    return file


def test_all_files_together_keep_no_more_than_the_bound():
    """A thousand runs must not keep a thousand times as much."""
    files = [kept(30) for _ in range(10)]
    assert [file.is_whole for file in files] == [True] * 3 + [False] * 7
    assert sum(len(file.content()) for file in files) == 90


@pytest.mark.parametrize(
    "release",
    [
        pytest.param(lambda file: file.restart(60), id="a sync"),
        pytest.param(lambda file: file.cut(0), id="a cut"),
        pytest.param(lambda file: file.add(bytearray(BOUND), BOUND), id="more than the bound"),
    ],
)
def test_a_file_gives_its_room_back(release):
    """To all others, and exactly once."""
    file = kept(60)
    assert not kept(60).is_whole
    release(file)
    release(file)
    other = kept(BOUND)
    assert other.is_whole
    assert not kept(1).is_whole


def test_a_file_without_room_keeps_again_after_its_next_sync():
    """The bytes before are confirmed then."""
    first, second = kept(60), kept(60)
    first.restart(60)
    second.add(bytearray(10), 10)
    assert not second.is_whole
    second.restart(70)
    second.add(bytearray(b"abc"), 2)
    assert (second.is_whole, second.start, second.content()) == (True, 70, b"ab")
    assert second.fits(71, 72)


def test_a_forked_child_has_the_whole_room():
    """Even if a thread of the parent had just taken some for bytes that it had yet to keep."""
    file = kept(60)
    assert unsynced._room.take(30)
    file.restart(60)
    unsynced.start_anew_in_child()
    assert kept(BOUND).is_whole
    assert not kept(1).is_whole


@pytest.mark.parametrize("sizes", [[1] * 90, [40, 1, 1, 40, 1], [10, 60, 20]])
def test_pieces_stand_in_the_order_of_their_writing(monkeypatch, sizes):
    """Small ones are joined, so that they need little memory besides; a part of a piece is kept as that part."""
    monkeypatch.setattr(unsynced, "JOINED_BYTES", 20)
    file, written = Unsynced(), b""
    for number, size in enumerate(sizes):
        piece = bytearray([number] * size + [255])
        file.add(piece, size)
        written += bytes(piece[:size])
    assert (file.content(), file.size) == (written, len(written))
    assert len(file._pieces) <= 5
    file.cut(len(written) - 30)
    assert file.content() == written[:-30]
    file.add(bytearray(b"more"), 4)
    assert file.content() == written[:-30] + b"more"


def test_bytes_that_there_was_no_memory_for_leave_no_gap():
    """The process may lack memory for a moment; what follows must not be taken for the bytes that are missing."""

    class Full(bytearray):
        def __getitem__(self, _):
            raise MemoryError

    file = kept(30)
    with pytest.raises(MemoryError):
        file.add(Full(20), 10)
    file.add(bytearray(10), 10)
    assert not file.is_whole
    file.restart(50)
    assert kept(BOUND).is_whole
