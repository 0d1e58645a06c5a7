"""Pictures have the pixels of both originals, and the PNG files are ones that others can read."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
import tensorboardX.summary
import torch.utils.tensorboard.summary
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tblog.errors import InvalidValueError, UnsupportedTypeError
from tblog.records import ImageRecord
from tblog.summaries import _png, check
from tblog.summaries._png import encode_png
from tests.encoded import Reports, encoded, one, parsed, pixels

generator = np.random.default_rng(5)
BYTES = generator.integers(0, 256, (3, 13, 10), dtype=np.uint8)
BATCH = generator.integers(0, 256, (11, 3, 5, 7), dtype=np.uint8)
BOXES = np.array([[1.0, 2, 20, 15], [5, 5, 38, 28.5]], np.float32)
BOXED = generator.integers(0, 256, (3, 30, 40), dtype=np.uint8)

LAYOUTS = ["".join(letters) for axes in ("HW", "CHW") for letters in itertools.permutations(axes)]
BATCH_LAYOUTS = ["NCHW", "NHWC", "CHWN", "hwnc"]
DTYPES = {
    "uint8": BYTES,
    "float32": generator.random((3, 13, 10), dtype=np.float32),
    "float64": generator.random((3, 13, 10)),
    "float16": generator.random((3, 13, 10)).astype(np.float16),
    "beyond [0, 1]": generator.normal(size=(3, 13, 10)).astype(np.float32) * 3,
    "exact 256ths": np.arange(256, dtype=np.float32).reshape(1, 16, 16) / 255,
    "bool": BYTES > 100,
    "int64": BYTES.astype(np.int64) // 100,
    "int32 beyond 1": BYTES.astype(np.int32) - 100,
    "uint16": BYTES.astype(np.uint16),
    "one channel": BYTES[:1],
    "two channels": BYTES[:2],
    "four channels": np.concatenate([BYTES, BYTES[:1]]),
    "one row": BYTES[:, :1],
    "one pixel": BYTES[:, :1, :1],
    "not contiguous": BYTES[:, ::2, ::-1],
}


def original(function, *args, **kwargs):
    """Return torch's image value."""
    return parsed(getattr(torch.utils.tensorboard.summary, function)("i", *args, **kwargs)).value[0]


def assert_same(ours, theirs):
    """Compare tag, sizes, channels and pixels."""
    assert ours.tag == theirs.tag
    assert (pixels(ours) == pixels(theirs)).all()
    assert pixels(ours).shape == pixels(theirs).shape
    for name in ("height", "width", "colorspace"):
        assert getattr(ours.image, name) == getattr(theirs.image, name)


@pytest.mark.parametrize("kind", DTYPES)
def test_pixels_are_torchs_for_every_dtype(kind):
    """uint8 as it is, everything else times 255 and clipped, in 1 to 4 channels."""
    ours = one(ImageRecord(tag="i", image=DTYPES[kind]), Reports())
    assert_same(ours, original("image", DTYPES[kind], dataformats="CHW"))


@pytest.mark.parametrize("kind", ["uint8", "float32", "float64", "one channel", "four channels", "bool"])
def test_pixels_are_tensorboardx_too(kind):
    """Where nothing is clipped, tensorboardX gives the same picture."""
    ours = one(ImageRecord(tag="i", image=DTYPES[kind]))
    assert_same(ours, parsed(tensorboardX.summary.image("i", DTYPES[kind])).value[0])


@pytest.mark.parametrize("dataformats", LAYOUTS)
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_axes_may_come_in_any_order(dataformats, kind):
    """`dataformats` names the axes, whatever their order and case."""
    axes = ["CHW".index(letter) for letter in dataformats]
    image = DTYPES[kind].transpose(axes) if len(axes) == 3 else DTYPES[kind][0].T[: axes[0] + 5]
    ours = one(ImageRecord(tag="i", image=image, dataformats=dataformats))
    assert_same(ours, original("image", image, dataformats=dataformats))
    assert_same(one(ImageRecord(tag="i", image=image, dataformats=dataformats.lower())), ours)


@pytest.mark.parametrize("dataformats", BATCH_LAYOUTS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 11])
def test_a_batch_is_torchs_grid(count, channels, dataformats):
    """Eight images to a row, black where there are none left."""
    batch = BATCH[:count, :channels].transpose(["NCHW".index(letter) for letter in dataformats.upper()])
    for images in (batch, batch / 255):
        ours = one(ImageRecord(tag="i", image=images, dataformats=dataformats))
        assert_same(ours, original("image", images, dataformats=dataformats))


def test_a_batch_with_alpha_is_tensorboardx_grid():
    """A grid of RGBA images, for which torch raises."""
    batch = np.concatenate([BATCH, BATCH[:, :1]], axis=1)
    ours = one(ImageRecord(tag="i", image=batch, dataformats="NCHW"))
    assert_same(ours, parsed(tensorboardX.summary.image("i", batch, dataformats="NCHW")).value[0])


@pytest.mark.parametrize("labels", [None, ["cat", "a longer label"], ["", None]])
@pytest.mark.parametrize("boxes", [BOXES, BOXES.astype(int), np.zeros((0, 4)), np.zeros(0)])
def test_boxes_and_labels_are_drawn_as_torch_draws_them(boxes, labels):
    """Frames, label backgrounds and letters lie on the same pixels."""
    fitting = labels if len(boxes) else None
    ours = one(ImageRecord(tag="i", image=BOXED, boxes=boxes, labels=fitting))
    assert_same(ours, original("image_boxes", BOXED, boxes, labels=fitting))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_boxes_are_drawn_on_any_number_of_channels(channels):
    """On grey and alpha the red is what Pillow makes of it, as in torch."""
    image = np.concatenate([BOXED, BOXED[:1]])[:channels]
    ours = one(ImageRecord(tag="i", image=image, boxes=BOXES, labels=["a", "b"]))
    assert_same(ours, original("image_boxes", image, BOXES, labels=["a", "b"]))


def test_one_label_may_be_a_string():
    """A single string labels a single box, as in both originals' add_image_with_boxes."""
    ours = one(ImageRecord(tag="i", image=BOXED, boxes=BOXES[:1], labels="cat"))
    assert_same(ours, original("image_boxes", BOXED, BOXES[:1], labels=["cat"]))


def test_labels_that_do_not_fit_are_left_out_and_reported():
    """Boxes are drawn without labels when there are more or fewer of them."""
    reports = Reports()
    ours = one(ImageRecord(tag="i", image=BOXED, boxes=BOXES, labels=["a", "b", "c"]), reports)
    assert_same(ours, original("image_boxes", BOXED, BOXES))
    assert [(tag, count) for tag, _, count in reports] == [("i", 3)]


@pytest.mark.parametrize("rescale", [2, 0.5, 1.7, 1])
def test_a_scaled_picture_has_torchs_pixels_and_tells_its_own_size(rescale):
    """The recorded size is the picture's own, where torch records the size before scaling."""
    ours = one(ImageRecord(tag="i", image=BOXED, boxes=BOXES, rescale=rescale))
    theirs = original("image_boxes", BOXED, BOXES, rescale=rescale)
    assert (pixels(ours) == pixels(theirs)).all()
    assert (ours.image.height, ours.image.width) == pixels(ours).shape[:2]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", "i8", "u2"])
def test_a_picture_up_to_255_that_is_no_uint8_is_reported(dtype):
    """It is white, as in torch; the most common mistake with images is reported and counted."""
    reports = Reports()
    image = np.arange(48).reshape(3, 4, 4).astype(dtype)
    assert (pixels(one(ImageRecord(tag="i", image=image), reports)) == 255).mean() > 0.9
    ((tag, what, count),) = reports
    assert (tag, count) == ("i", 46)
    assert "divide by 255 or give uint8" in what


@pytest.mark.parametrize(
    "image",
    [
        np.array([[0.0, 1.0000001, 1.2, -3.0, np.nan]]),
        np.array([[0, 1]]),
        np.array([[True, False]]),
        np.array([[0, 255]], np.uint8),
        np.array([[np.nan]]),
    ],
    ids=["floats", "integers", "booleans", "bytes", "nan"],
)
def test_a_picture_from_0_to_1_is_not_reported(image):
    """Slight overshoot from rounding or sharpening is clipped silently."""
    one(ImageRecord(tag="i", image=image, dataformats="HW"))


def test_a_nan_is_black():
    """What is not a number becomes 0, on every machine."""
    image = np.full((1, 2, 2), np.nan, np.float32)
    assert (pixels(one(ImageRecord(tag="i", image=image))) == 0).all()


@pytest.mark.parametrize(
    ("image", "dataformats", "error", "said"),
    [
        (BYTES, "HW", InvalidValueError, r"\(3, 13, 10\)"),
        (BYTES, "NCHW", InvalidValueError, r"\(3, 13, 10\)"),
        (BYTES, "CHH", InvalidValueError, "CHH"),
        (BYTES, "NHW", InvalidValueError, "NHW"),
        (BYTES, "XYZ", InvalidValueError, "XYZ"),
        (BYTES, "HWC", InvalidValueError, "10"),
        (BYTES[:0], "CHW", InvalidValueError, r"\(0, 13, 10\)"),
        (BYTES[:, :0], "CHW", InvalidValueError, r"\(3, 0, 10\)"),
        (np.zeros((9, 5, 4, 4)), "NCHW", InvalidValueError, "5"),
        (BYTES * 1j, "CHW", UnsupportedTypeError, "complex"),
        (np.full((1, 1, 1), "a"), "CHW", UnsupportedTypeError, "U1"),
    ],
)
def test_what_cannot_be_drawn_is_refused(image, dataformats, error, said):
    """The message names the tag, what was given and what is wanted, without reading the pixels."""
    with pytest.raises(error, match=f"'i'.*{said}.*; give"):
        check(ImageRecord(tag="i", image=image, dataformats=dataformats))


@pytest.mark.parametrize(
    "wrong", [{"rescale": 0}, {"rescale": float("nan")}, {"boxes": BOXES[0]}, {"boxes": BOXES[:, :3]}]
)
def test_a_wrong_scale_or_box_is_refused(wrong):
    """A scale is above 0 and boxes have four coordinates."""
    with pytest.raises(InvalidValueError, match="'i'"):
        check(ImageRecord(tag="i", image=BOXED, **wrong))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_a_png_is_read_back_exactly(level, channels):
    """Pillow reads the pixels that were written, at every compression."""
    picture = generator.integers(0, 256, (17, 23, channels), dtype=np.uint8)
    read = np.asarray(Image.open(io.BytesIO(encode_png(picture, level)))).reshape(picture.shape)
    assert (read == picture).all()


def unpacked(data):
    """Return the rows in a PNG of one IDAT, each after its filter; zlib checks the stream's own checksum."""
    at = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    return zlib.decompress(data[at + 4 : at + 4 + length])


@pytest.mark.parametrize("level", [0, 1, 9])
def test_rows_that_repeat_the_one_above_are_read_back_exactly(level, monkeypatch):
    """However many, at the top, in the middle or at the bottom, with a right checksum of the stream."""

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.integers(1, 40), min_size=1, max_size=6),
        st.integers(1, 30),
        st.integers(0, 3),
        st.booleans(),
    )
    def reads_back(runs, width, first, is_black):
        grey = np.repeat(generator.integers(0, 256, (len(runs), width), dtype=np.uint8), runs, axis=0)
        picture = np.stack([grey, grey * 3, grey * 7], axis=-1) * (0 if is_black else 1)
        wanted = picture[first % len(picture) :]
        data = encode_png(wanted, level)
        assert (np.asarray(Image.open(io.BytesIO(data))) == wanted).all()
        assert len(unpacked(data)) == wanted.shape[0] * (1 + 3 * width)

    monkeypatch.setattr(_png, "_WORTH", 100)
    reads_back()


def test_a_drawing_takes_no_more_bytes_than_pillows():
    """Squares of few colours are at most a fifth larger than with the originals' level 6."""
    y, x = np.mgrid[0:512, 0:512] // 64
    picture = np.stack([(x + y) * 15, x * 30, y * 20], axis=-1).astype(np.uint8)
    pillows = io.BytesIO()
    Image.fromarray(picture).save(pillows, format="PNG")
    assert len(encode_png(picture, 1)) <= 1.2 * len(pillows.getvalue())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_channels_may_lie_side_by_side_or_apart(channels, dtype):
    """The same picture gives the same file in both layouts."""
    picture = generator.integers(0, 2, (9, 12, channels)).astype(dtype)
    apart = np.ascontiguousarray(picture.transpose(2, 0, 1))
    side_by_side = encoded(ImageRecord(tag="i", image=picture, dataformats="HWC"))
    assert side_by_side == encoded(ImageRecord(tag="i", image=apart))


def test_a_png_has_right_checksums():
    """Each chunk ends in the CRC-32 of its name and content; viewers stricter than Pillow look at it."""
    data = encode_png(BATCH[0].transpose(1, 2, 0), 1)
    names, position = [], 8
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        body = data[position + 4 : position + 8 + length]
        assert struct.unpack_from(">I", data, position + 8 + length) == (zlib.crc32(body),)
        names.append(body[:4])
        position += 12 + length
    assert names == [b"IHDR", b"IDAT", b"IEND"]


def test_the_compression_level_is_the_contexts():
    """Level 9 makes a smaller file than level 0, which does not compress."""
    flat = ImageRecord(tag="i", image=np.zeros((3, 64, 64), np.uint8))
    sizes = [encoded(flat, png_compress_level=level)[0].ByteSize() for level in (0, 9)]
    assert sizes[0] > 64 * 64 * 3 > 10 * sizes[1]
