"""Makes small odd images: one for each form that an image file takes, and one for each way in which
it is broken.

Goes in: nothing. Comes out: file names with their bytes, the same each time. All that are whole
show the same scene, 40 x 24 pixels, different at each corner, so that a wrong turn, a swapped
colour or an inverted ink shows. What Pillow does not write (16-bit colours, interlacing, headers
that lie) is put together here.
"""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 40, 24
ORIENTATION = 0x0112  # the Exif tag
JPEG = {"format": "JPEG", "quality": 95}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6  # PNG's colour types
BOMB_SIDE = 50000


def scene() -> Image.Image:
    """Return the scene: red grows to the right, green downwards, blue fades along the diagonal."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    red, green = 40 + x * 5, 30 + y * 8
    blue = 220 - x * 2 - y * 4
    return Image.fromarray(np.stack([red, green, blue], -1).astype(np.uint8))


def whole_images() -> Iterator[tuple[str, bytes]]:
    """Yield the images that must come out right."""
    yield from _jpegs()
    yield from _turned()
    yield from _pngs()
    yield from _bmps()


def refused_images() -> Iterator[tuple[str, str, bytes]]:
    """Yield the images that must be refused, with the kind of refusal as `wit/image.wit` names
    it.
    """
    image = scene()
    jpeg, progressive = _saved(image, **JPEG), _saved(image, **JPEG, progressive=True)
    png, bmp = _saved(image, format="PNG"), _saved(image, format="BMP")
    frame = jpeg.index(b"\xff\xc0")
    yield "truncated.jpg", "invalid-image", jpeg[: len(jpeg) * 2 // 3]
    yield "truncated-progressive.jpg", "invalid-image", progressive[: len(progressive) * 2 // 3]
    yield "truncated-before-the-end.jpg", "invalid-image", jpeg[:-2]
    yield "truncated.png", "invalid-image", png[: len(png) // 2]
    yield "truncated.bmp", "invalid-image", bmp[: len(bmp) // 2]
    yield "text.jpg", "unsupported", b"This is no image at all, whatever its name says.\n"
    yield "empty.jpg", "invalid-image", b""
    yield "no-height.jpg", "invalid-image", _patched(jpeg, frame + 5, struct.pack(">H", 0))
    yield "no-width.png", "invalid-image", _png(0, HEIGHT, 8, RGB, b"")
    yield "bomb.jpg", "too-large", _patched(jpeg, frame + 5, struct.pack(">HH", 65535, 65535))
    yield "bomb.png", "too-large", _png(BOMB_SIDE, BOMB_SIDE, 8, RGB, bytes(1000))
    yield "bomb.bmp", "too-large", _patched(bmp, 18, struct.pack("<ii", BOMB_SIDE, BOMB_SIDE))
    yield "twelve-bit.jpg", "unsupported", _patched(jpeg, frame + 4, b"\x0c")
    yield "arithmetic.jpg", "unsupported", _patched(jpeg, frame + 1, b"\xc9")
    yield "small.gif", "unsupported", _saved(image, format="GIF")


def noise(width: int, height: int, seed: int) -> Image.Image:
    """Return noise, the hardest image to resize the same way."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def _jpegs() -> Iterator[tuple[str, bytes]]:
    image = scene()
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"baseline-{name}.jpg", _saved(image, **JPEG, subsampling=subsampling)
        yield f"progressive-{name}.jpg", _saved(image, **JPEG, subsampling=subsampling, progressive=True)
    yield "restarts.jpg", _saved(image, **JPEG, restart_marker_blocks=1)
    yield "grey.jpg", _saved(image.convert("L"), **JPEG)
    yield "grey-progressive.jpg", _saved(image.convert("L"), **JPEG, progressive=True)
    yield "rgb.jpg", _saved(image, **JPEG, keep_rgb=True)
    cmyk = _saved(_cmyk(image), **JPEG)
    yield "cmyk-adobe.jpg", cmyk
    yield "cmyk-unmarked.jpg", _without_segment(cmyk, 0xEE)
    yield "cmyk-progressive.jpg", _saved(_cmyk(image), **JPEG, progressive=True)


def _turned() -> Iterator[tuple[str, bytes]]:
    """Yield the scene stored in each of Exif's orientations, so that it is upright once it is
    turned.
    """
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation, transpose in stored.items():
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        image = scene() if transpose is None else scene().transpose(transpose)
        yield f"exif-{orientation}.jpg", _saved(image, **JPEG, exif=exif)
        if orientation == 6:
            yield "exif-6.png", _saved(image, format="PNG", exif=exif)


def _pngs() -> Iterator[tuple[str, bytes]]:
    image = scene()
    grey, alpha = image.convert("L"), _alpha()
    yield "rgb.png", _saved(image, format="PNG")
    yield "grey.png", _saved(grey, format="PNG")
    yield "grey-alpha.png", _saved(Image.merge("LA", (grey, alpha)), format="PNG")
    yield "rgba.png", _saved(Image.merge("RGBA", (*image.split(), alpha)), format="PNG")
    yield "palette.png", _saved(image.quantize(16), format="PNG")
    yield "palette-transparent.png", _saved(image.quantize(16), format="PNG", transparency=bytes(range(0, 256, 16)))
    yield "one-bit.png", _saved(grey.convert("1"), format="PNG")
    yield "two-bit.png", _packed_grey(grey, 2)
    for name, kind, mode in (("grey", GREY, "L"), ("rgb", RGB, "RGB")):
        yield f"{name}-16.png", _deep(np.asarray(image.convert(mode)), kind)
    yield "rgba-16.png", _deep(np.asarray(Image.merge("RGBA", (*image.split(), alpha))), RGBA)
    yield "grey-alpha-16.png", _deep(np.asarray(Image.merge("LA", (grey, alpha))), GREY_ALPHA)
    yield "interlaced.png", _interlaced(np.asarray(image))


def _bmps() -> Iterator[tuple[str, bytes]]:
    image = scene()
    plain = _saved(image, format="BMP")
    yield "24-bit.bmp", plain
    yield "32-bit.bmp", _saved(image.convert("RGBA"), format="BMP")
    yield "8-bit.bmp", _saved(image.quantize(64), format="BMP")
    yield "8-bit-grey.bmp", _saved(image.convert("L"), format="BMP")
    yield "1-bit.bmp", _saved(image.convert("1"), format="BMP")
    upside_down = _saved(image.transpose(Image.Transpose.FLIP_TOP_BOTTOM), format="BMP")
    yield "top-down.bmp", _patched(upside_down, 22, struct.pack("<i", -HEIGHT))


def _saved(image: Image.Image, **settings: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, **settings)
    return buffer.getvalue()


def _cmyk(image: Image.Image) -> Image.Image:
    """Return the image in inks, with some black in them; Pillow's own conversion uses none."""
    values = np.asarray(image).astype(np.float64)
    black = 255 - np.minimum(values.max(-1) + 20, 255)
    inks = 255 - values / (1 - black[..., None] / 255)
    return Image.fromarray(np.dstack([inks, black]).round().clip(0, 255).astype(np.uint8), mode="CMYK")


def _alpha() -> Image.Image:
    """Return an opacity that grows downwards, from nothing to everything."""
    rows = np.linspace(0, 255, HEIGHT).round().astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None], WIDTH, 1))


def _patched(file: bytes, place: int, values: bytes) -> bytes:
    return file[:place] + values + file[place + len(values) :]


def _without_segment(jpeg: bytes, marker: int) -> bytes:
    start = jpeg.index(bytes((0xFF, marker)))
    length = int.from_bytes(jpeg[start + 2 : start + 4], "big")
    return jpeg[:start] + jpeg[start + 2 + length :]


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def _png(width: int, height: int, depth: int, colour: int, rows: bytes, interlaced: bool = False) -> bytes:
    """Return a PNG of rows that each begin with their filter's number."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")


def _unfiltered(rows: np.ndarray) -> bytes:
    """Return rows of bytes (height, bytes), each after a zero: no filter."""
    return b"".join(b"\0" + row.tobytes() for row in rows)


def _deep(values: np.ndarray, colour: int) -> bytes:
    """Return 16-bit samples whose high bytes are the values and whose low bytes are something
    else.
    """
    samples = (values.astype(np.uint16) << 8 | (values.astype(np.uint16) * 7 % 256)).astype(">u2")
    return _png(WIDTH, HEIGHT, 16, colour, _unfiltered(samples.reshape(HEIGHT, -1)))


def _packed_grey(image: Image.Image, depth: int) -> bytes:
    per_byte = 8 // depth
    levels = np.asarray(image) >> (8 - depth)
    shifts = np.arange(per_byte)[::-1] * depth
    packed = (levels.reshape(HEIGHT, -1, per_byte) << shifts).sum(-1).astype(np.uint8)
    return _png(WIDTH, HEIGHT, depth, GREY, _unfiltered(packed))


def _interlaced(values: np.ndarray) -> bytes:
    passes = [values[y::down, x::across] for x, y, across, down in ADAM7]
    rows = b"".join(_unfiltered(part.reshape(part.shape[0], -1)) for part in passes)
    return _png(WIDTH, HEIGHT, 8, RGB, rows, interlaced=True)
