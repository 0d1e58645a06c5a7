"""Images: the encoded bytes, and the decoded pixels."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tblog._wire import parsing as wire
from tblog._wire.parsing import MalformedError
from tblog.reading import _events
from tblog.reading._items import Item, UnreadableError
from tblog.reading.tensors import strings_of


class _Encoded(NamedTuple):
    width: int
    height: int
    pictures: list[bytes]


class Image(Item):
    """An image or a video. A new-style summary may hold several images of one size.

    Example:
        >>> import numpy as np
        >>> import tblog
        >>> with tblog.SummaryWriter("runs/seed1") as writer:
        ...     writer.add_image("digit", np.zeros((3, 8, 12), np.uint8), 1)
        >>> (digit,) = tblog.read("runs").images
        >>> digit.size, digit.pixels().shape, digit.encoded[1:4]
        ((12, 8), (8, 12, 3), b'PNG')
    """

    @property
    def encoded(self) -> bytes:
        """The first image's bytes: usually PNG, GIF for a video."""
        pictures = self.all_encoded
        return pictures[0] if pictures else b""

    @property
    def all_encoded(self) -> list[bytes]:
        """The bytes of each image of this summary."""
        return self._decoded(_encoded).pictures

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, as the summary states them."""
        found = self._decoded(_encoded)
        return found.width, found.height

    def pixels(self, number: int = 0, frame: int = 0) -> NDArray[np.uint8]:
        """Decode an image; uint8 (height, width) or (height, width, channels).

        Args:
            number: index of the image in the summary.
            frame: index of the frame in a video.

        Raises:
            UnreadableError: Pillow cannot read the bytes, or there is no such image or frame.
        """
        from PIL import Image as Pillow

        try:
            with Pillow.open(io.BytesIO(self.all_encoded[number])) as picture:
                picture.seek(frame)
                if picture.mode not in {"L", "LA", "RGB", "RGBA"}:
                    return np.asarray(picture.convert("RGB"), np.uint8)
                return np.asarray(picture, np.uint8)
        except (
            OSError,
            IndexError,
            EOFError,
            ValueError,
            SyntaxError,
            Pillow.DecompressionBombError,
        ) as error:
            raise UnreadableError(f"{self!r} cannot be decoded: {error}") from error


def _encoded(form: int, content: bytes) -> _Encoded:
    if form != _events.IMAGE:
        width, height, *pictures = [*strings_of(form, content), b"", b""]
        return _Encoded(_number(width), _number(height), pictures[:-2])
    found: dict[int, Any] = {1: 0, 2: 0, 4: b""}
    for field in wire.fields(content):
        if field.key in {1, 2} and field.wire == wire.VARINT:
            found[field.key] = wire.signed(field.number)
        elif field.key == 4 and field.wire == wire.BYTES:
            found[4] = content[field.start : field.end]
    return _Encoded(found[2], found[1], [found[4]])


def _number(digits: bytes) -> int:
    if len(digits) > 20 or not digits.isdigit():
        raise MalformedError(f"an image's size is {digits[:20]!r}")
    return int(digits)
