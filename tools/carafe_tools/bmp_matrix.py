"""Makes BMP files of every kind, after bmpsuite's list of features, each with what it must show.

Comes out: names with bytes, and the RGB pixels that viewers show, or nothing for a file that must
be refused. Pillow is asked for what it reads as viewers do; where it does not read a kind, the
picture is the one that was written.
"""

import struct
from collections.abc import Iterator

import numpy as np

WIDTH, HEIGHT = 13, 7
RGB, RLE8, RLE4, BITFIELDS, JPEG, ALPHA_BITFIELDS = 0, 1, 2, 3, 4, 6
Pixels = np.ndarray


def scene() -> Pixels:
    """Return the picture, (height, width, 3)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 19, y * 36, 250 - x * 7 - y * 20], -1).astype(np.uint8)


def files() -> Iterator[tuple[str, bytes, Pixels | None]]:
    """Yield the files with their pixels."""
    yield from _indexed()
    yield from _runs()
    yield from _direct()
    yield from _headers()
    yield from _refused()


def _palette(count: int) -> Pixels:
    index = np.arange(count)
    return np.stack([index * 37 % 256, index * 91 % 256, 255 - index * 11 % 256], -1).astype(np.uint8)


def _indices(count: int) -> Pixels:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return (x * 5 + y * 3) % count


def _entries(palette: Pixels, size: int = 4) -> bytes:
    return b"".join(bytes(colour[::-1]) + b"\0" * (size - 3) for colour in palette)


def _packed(indices: Pixels, bits: int) -> list[bytes]:
    rows = []
    for row in indices:
        text = "".join(f"{index:0{bits}b}" for index in row)
        text += "0" * (-len(text) % 32)
        rows.append(int(text, 2).to_bytes(len(text) // 8, "big"))
    return rows


def _info(
    bits: int,
    compression: int = RGB,
    colours: int = 0,
    height: int = HEIGHT,
    size: int = 40,
    masks: bytes = b"",
    width: int = WIDTH,
) -> bytes:
    header = struct.pack("<IiiHHIIiiII", size, width, height, 1, bits, compression, 0, 2835, 2835, colours, 0)
    return (header + masks).ljust(size, b"\0")[: max(size, 40)]


def _os2(bits: int) -> bytes:
    return struct.pack("<IHHHH", 12, WIDTH, HEIGHT, 1, bits)


def _file(header: bytes, between: bytes, data: bytes, offset: int | None = None, gap: bytes = b"") -> bytes:
    start = 14 + len(header) + len(between) + len(gap)
    sizes = struct.pack("<IHHI", start + len(data), 0, 0, start if offset is None else offset)
    return b"BM" + sizes + header + between + gap + data


def _upwards(rows: list[bytes]) -> bytes:
    return b"".join(reversed(rows))


def _indexed() -> Iterator[tuple[str, bytes, Pixels | None]]:
    for bits in (1, 2, 4, 8):
        count = 1 << bits
        palette, indices = _palette(count), _indices(count)
        rows, shown = _packed(indices, bits), palette[indices]
        yield f"{bits}-bit", _file(_info(bits), _entries(palette), _upwards(rows)), shown
        yield f"{bits}-bit-top-down", _file(_info(bits, height=-HEIGHT), _entries(palette), b"".join(rows)), shown
        yield f"{bits}-bit-os2", _file(_os2(bits), _entries(palette, 3), _upwards(rows)), shown
        few = indices % (count - 1)
        less = _file(_info(bits, colours=count - 1), _entries(palette[:-1]), _upwards(_packed(few, bits)))
        yield f"{bits}-bit-short-palette", less, palette[few]
    palette = _palette(256)
    indices = _indices(256)
    rows = _upwards(_packed(indices, 8))
    yield "8-bit-long-palette", _file(_info(8, colours=300), _entries(palette) + bytes(44 * 4), rows), palette[indices]
    short = np.where((indices < 20)[..., None], palette[indices], 0).astype(np.uint8)
    yield "8-bit-index-beyond-the-palette", _file(_info(8, colours=20), _entries(palette[:20]), rows), short
    yield "8-bit-gap-before-the-pixels", _file(_info(8), _entries(palette), rows, gap=b"gap!" * 5), palette[indices]
    yield "8-bit-no-offset", _file(_info(8), _entries(palette), rows, offset=0), palette[indices]
    cut = _file(_info(8), _entries(palette[:100]), _upwards(_packed(indices % 100, 8)))
    yield "8-bit-palette-cut-by-the-pixels", cut, palette[indices % 100]
    grey = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)
    yield "8-bit-grey", _file(_info(8), _entries(grey), rows), grey[indices]


def _runs() -> Iterator[tuple[str, bytes, Pixels | None]]:
    palette = _palette(256)
    rows = [[index // 4 for index in row] for row in _indices(256).tolist()]
    shown = palette[np.array(rows)]
    encoded = b"".join(_run_row(row) + b"\0\0" for row in reversed(rows))
    for name, data in (("ends", encoded[:-2] + b"\0\1"), ("without-end", encoded), ("ends-twice", encoded + b"\0\1")):
        yield f"rle8-{name}", _file(_info(8, RLE8), _entries(palette), data), shown
    more = bytes((WIDTH, 1, 0, 0)) * (HEIGHT + 2)
    yield "rle8-beyond-the-last-row", _file(_info(8, RLE8), _entries(palette), more), palette[np.full((HEIGHT, WIDTH), 1)]
    absolute = b"".join(bytes((0, WIDTH)) + bytes(row) + b"\0" * (WIDTH % 2) + b"\0\0" for row in reversed(rows)) + b"\0\1"
    yield "rle8-absolute", _file(_info(8, RLE8), _entries(palette), absolute), shown
    jump = bytes((0, 2, 3, 1)) + bytes((4, 9)) + b"\0\0" + bytes((WIDTH, 5)) + b"\0\1"
    left_out = np.zeros((HEIGHT, WIDTH), int)
    left_out[HEIGHT - 2, 3:7], left_out[HEIGHT - 3] = 9, 5
    yield "rle8-delta-and-early-end", _file(_info(8, RLE8), _entries(palette), jump), palette[left_out]
    four = [[index % 16 for index in row] for row in rows]
    absolute = b"".join(_half_bytes(row) + b"\0\0" for row in reversed(four)) + b"\0\1"
    yield "rle4-absolute-odd", _file(_info(4, RLE4), _entries(palette[:16]), absolute), palette[np.array(four)]
    pairs = b"".join(bytes((WIDTH, 0x3A)) + b"\0\0" for _ in rows) + b"\0\1"
    alternating = np.tile(np.where(np.arange(WIDTH) % 2, 10, 3), (HEIGHT, 1))
    yield "rle4-pairs", _file(_info(4, RLE4), _entries(palette[:16]), pairs), palette[alternating]


def _run_row(row: list[int]) -> bytes:
    data, place = b"", 0
    while place < len(row):
        count = 1
        while place + count < len(row) and row[place + count] == row[place]:
            count += 1
        data += bytes((count, row[place]))
        place += count
    return data


def _half_bytes(row: list[int]) -> bytes:
    text = "".join(f"{index:x}" for index in row)
    text += "0" * (-len(text) % 4)
    return bytes((0, len(row))) + bytes.fromhex(text)


def _direct() -> Iterator[tuple[str, bytes, Pixels | None]]:
    picture = scene()
    for name, masks, bits in (
        ("16-bit-555", None, (5, 5, 5)),
        ("16-bit-555-masks", (0x7C00, 0x3E0, 0x1F), (5, 5, 5)),
        ("16-bit-565-masks", (0xF800, 0x7E0, 0x1F), (5, 6, 5)),
        ("16-bit-444-masks", (0xF00, 0xF0, 0xF), (4, 4, 4)),
    ):
        levels = [picture[..., i].astype(int) >> (8 - bits[i]) for i in range(3)]
        chosen = masks or (0x7C00, 0x3E0, 0x1F)
        values = sum(level << _shift(mask) for level, mask in zip(levels, chosen, strict=True))
        colours = [level * 255 // ((1 << size) - 1) for level, size in zip(levels, bits, strict=True)]
        shown = np.stack(colours, -1).astype(np.uint8)
        header = _info(16, BITFIELDS if masks else RGB)
        yield name, _file(header, struct.pack("<III", *masks) if masks else b"", _values(values, 2)), shown
        if name == "16-bit-565-masks":
            # No bit is left for opacity.
            for size in (56, 124):
                header = _info(16, BITFIELDS, size=size, masks=struct.pack("<IIII", *masks, 0x8000))
                yield f"16-bit-565-stray-opacity-header-{size}", _file(header, b"", _values(values, 2)), shown
    plain = _joined(picture, (16, 8, 0))
    rows = _values(plain, 3)
    yield "24-bit", _file(_info(24), b"", rows), picture
    yield "24-bit-top-down", _file(_info(24, height=-HEIGHT), b"", _values(plain, 3, down=True)), picture
    yield "24-bit-os2", _file(_os2(24), b"", rows), picture
    yield "24-bit-with-palette", _file(_info(24, colours=9), bytes(36), rows), picture
    for size in (56, 124):
        header = _info(24, BITFIELDS, size=size, masks=struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000))
        yield f"24-bit-stray-opacity-header-{size}", _file(header, b"", rows), picture
    for name, fourth in (("zero", 0), ("full", 255), ("some", 100)):
        yield f"32-bit-no-masks-fourth-byte-{name}", _file(_info(32), b"", _values(plain | fourth << 24, 4)), picture
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    yield "32-bit-masks", _file(_info(32, BITFIELDS), masks, _values(plain | 55 << 24, 4)), picture
    turned = struct.pack("<III", 0xFF000000, 0xFF0000, 0xFF00)
    yield "32-bit-masks-turned", _file(_info(32, BITFIELDS), turned, _values(_joined(picture, (24, 16, 8)), 4)), picture
    opacity = np.tile(np.linspace(0, 255, WIDTH).astype(int), (HEIGHT, 1))
    over_white = ((picture * opacity[..., None] + 255 * (255 - opacity[..., None]) + 127) // 255).astype(np.uint8)
    with_alpha = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for size in (56, 108, 124):
        header = _info(32, BITFIELDS, size=size, masks=with_alpha)
        yield f"32-bit-alpha-header-{size}", _file(header, b"", _values(plain | opacity << 24, 4)), over_white
        yield f"32-bit-alpha-zero-header-{size}", _file(header, b"", _values(plain, 4)), picture
    yield "32-bit-alpha-masks", _file(_info(32, ALPHA_BITFIELDS), with_alpha, _values(plain | opacity << 24, 4)), over_white


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _joined(picture: Pixels, shifts: tuple[int, int, int]) -> Pixels:
    return sum(picture[..., i].astype(int) << shift for i, shift in enumerate(shifts))


def _values(values: Pixels, size: int, down: bool = False) -> bytes:
    rows = [b"".join(int(value).to_bytes(size, "little") for value in row) for row in values]
    rows = [row + b"\0" * (-len(row) % 4) for row in rows]
    return b"".join(rows) if down else _upwards(rows)


def _headers() -> Iterator[tuple[str, bytes, Pixels | None]]:
    picture = scene()
    data = _values(_joined(picture, (16, 8, 0)), 3)
    for size in (52, 56, 64, 108, 124):
        yield f"24-bit-header-{size}", _file(_info(24, size=size), b"", data), picture
    palette, indices = _palette(256), _indices(256)
    for size in (64, 108, 124):
        rows = _upwards(_packed(indices, 8))
        yield f"8-bit-header-{size}", _file(_info(8, size=size), _entries(palette), rows), palette[indices]
    wrong = _file(_info(24), b"", data)
    yield "file-size-wrong", wrong[:2] + b"\xff\xff\xff\x7f" + wrong[6:], picture
    yield "planes-0", wrong[:26] + b"\0\0" + wrong[28:], picture
    yield "bytes-after-the-pixels", wrong + b"more", picture
    yield "last-row-without-padding", wrong[: len(wrong) - (-WIDTH * 3 % 4)], picture


def _refused() -> Iterator[tuple[str, bytes, Pixels | None]]:
    data = _values(_joined(scene(), (16, 8, 0)), 3)
    good = _file(_info(24), b"", data)
    yield "cut", good[:-9], None
    yield "width-0", _file(_info(24, width=0), b"", data), None
    yield "width-negative", _file(_info(24, width=-WIDTH), b"", data), None
    yield "height-0", _file(_info(24, height=0), b"", data), None
    yield "height-least", _file(_info(24, height=-(2**31)), b"", data), None
    yield "huge", _file(_info(24, width=2**31 - 1, height=2**31 - 1), b"", data), None
    yield "offset-beyond-the-file", _file(_info(24), b"", data, offset=10**9), None
    yield "offset-within-the-header", _file(_info(24), b"", data, offset=20), None
    yield "header-length-41", _file(_info(24, size=41), b"", data), None
    yield "bits-0", _file(_info(0), b"", data), None
    yield "bits-5", _file(_info(5), b"", data), None
    yield "bits-64", _file(_info(64), b"", data * 3), None
    yield "jpeg-inside", _file(_info(0, JPEG), b"", data), None
    yield "compression-unknown", _file(_info(24, 77), b"", data), None
    yield "masks-overlap", _file(_info(16, BITFIELDS), struct.pack("<III", 0xFF00, 0x7E0, 0x1F), data), None
    yield "masks-of-nothing", _file(_info(16, BITFIELDS), bytes(12), data), None
    yield "masks-with-holes", _file(_info(16, BITFIELDS), struct.pack("<III", 0xA000, 0x7E0, 0x1F), data), None
    yield "masks-beyond-the-pixel", _file(_info(16, BITFIELDS), struct.pack("<III", 0xFF0000, 0xFF00, 0xFF), data), None
    yield "rle8-top-down", _file(_info(8, RLE8, height=-HEIGHT), _entries(_palette(256)), bytes((WIDTH, 1)) * HEIGHT), None
    yield "rle8-cut", _file(_info(8, RLE8), _entries(_palette(256)), bytes((WIDTH, 1, 0, 0)) * (HEIGHT - 2)), None
