"""Makes JPEG files that are irregular: some lack nothing of their picture, the others do.

Comes out: names with bytes, and whether data is missing. What lacks nothing must be read as libjpeg
reads it; what lacks something must be refused, also where libjpeg only warns and invents the rest.
"""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from carafe_tools.jpeg_matrix import SAMPLINGS, samples, standard_codes
from carafe_tools.jpeg_writer import Layout, Scan, segment, write

SIZE = (37, 23)
Pixels = np.ndarray
JFIF = segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\0\0")


def files() -> Iterator[tuple[str, bytes, Pixels | None]]:
    """Yield all files with the pixels that Pillow reads of them, or nothing for those that must be
    refused.
    """
    for name, contents in complete():
        yield name, contents, np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))
    for name, contents in incomplete():
        yield name, contents, None


def complete() -> Iterator[tuple[str, bytes]]:
    """Yield files that lack nothing of their picture."""
    file = _pillow()
    frame, scan = file.index(b"\xff\xc0"), file.index(b"\xff\xda")
    yield "without-tables", _made(tables="none")
    yield "stray-bytes-between-segments", _at(file, (frame, scan), b"\0\1\2stray")
    yield "stray-ff00-between-segments", _at(file, (frame,), b"\xff\0\xff\0")
    yield "restart-marker-between-segments", _at(file, (frame,), b"\xff\xd3")
    yield "fill-bytes", _at(file, (frame, scan, len(file) - 2), b"\xff" * 5)
    yield "stray-bytes-before-the-end", _at(file, (len(file) - 2,), b"abc")
    yield "bytes-after-the-end", file + b"\0" * 100 + b"more"
    yield "another-image-after-the-end", file + file
    yield "empty-comment", _at(file, (frame,), b"\xff\xfe\0\2")
    yield "comment-without-length", _at(file, (frame,), b"\xff\xfe\0\0")
    yield "unknown-application-segments", _at(file, (2,), segment(0xEF, b"x" * 300) + segment(0xE5, b""))
    yield "jfif-of-another-version", file.replace(b"JFIF\0\1\1", b"JFIF\0\7\x63")
    yield "jfif-twice", _at(file, (2,), JFIF + JFIF)
    yield "adobe-after-jfif-says-rgb", _at(file, (20,), _adobe(0))
    yield "adobe-says-rgb", _made(before_frame=_adobe(0))
    yield "adobe-says-ycc", _made(before_frame=_adobe(1))
    yield "adobe-says-nonsense", _made(before_frame=_adobe(77))
    yield "adobe-too-short", _made(before_frame=segment(0xEE, b"Adobe\0\x64\0"))
    yield "ids-are-rgb", _made(ids=b"RGB\0")
    yield "ids-are-rgb-with-jfif", _made(ids=b"RGB\0", before_frame=JFIF)
    yield "ids-from-zero", _made(ids=b"\0\1\2\3")
    yield "ids-are-odd", _made(ids=b"\x07\xff\x22\3")
    yield "inks-without-adobe", _made("four")
    yield "inks-with-adobe-cmyk", _made("four", before_frame=_adobe(0))
    yield "inks-with-adobe-ycck", _made("four", before_frame=_adobe(2))
    yield "inks-with-nonsense", _made("four", before_frame=_adobe(9))
    yield "extended-frame", file.replace(b"\xff\xc0", b"\xff\xc1", 1)
    yield "steps-of-16-bits", _deep_steps(file)
    yield "tables-in-one-segment", _joined(file)
    yield "tables-after-the-frame", _frame_first(file)
    yield "tables-redefined-before-the-scan", _at(file, (2,), segment(0xDB, b"\0" + bytes([99] * 64)))
    yield "height-said-again-and-more", _at(file, (len(file) - 2,), segment(0xDC, struct.pack(">HB", SIZE[1], 0)))
    yield "comment-past-the-end-after-the-scan", _at(file, (len(file) - 2,), b"\xff\xfe\x10\0abc")
    yield "height-said-again", _at(file, (len(file) - 2,), segment(0xDC, struct.pack(">H", SIZE[1])))
    yield "restart-marker-after-the-last-unit", _at(_made(restart=2), (-2,), b"\xff\xd5")
    yield "bytes-after-the-last-unit", _at(file, (len(file) - 2,), b"\x55" * 9)
    yield "spectrum-of-a-baseline-scan", _patched(file, scan + 11, b"\0\0\0")
    yield "restart-interval-0", _at(file, (frame,), segment(0xDD, b"\0\0"))
    yield "progressive-from-pillow", _pillow(progressive=True)
    yield "progressive-with-restarts-from-pillow", _pillow(progressive=True, restart_marker_blocks=2)
    yield "optimised-from-pillow", _pillow(optimize=True)
    yield "steps-redefined-between-scans", _redefined()


def incomplete() -> Iterator[tuple[str, bytes]]:
    """Yield files that lack a part of their picture, or whose picture is not certain."""
    file, restarts = _pillow(), _made(restart=2)
    frame, scan = file.index(b"\xff\xc0"), file.index(b"\xff\xda")
    yield "no-end", file[:-2]
    yield "cut-within-the-scan", file[: len(file) - 60] + b"\xff\xd9"
    yield "restart-markers-out-of-order", restarts.replace(b"\xff\xd1", b"\xff\xd4", 1)
    yield "restart-marker-missing", restarts.replace(b"\xff\xd1", b"", 1)
    yield "restart-interval-wrong", restarts.replace(b"\xff\xdd\0\4\0\2", b"\xff\xdd\0\4\0\3")
    yield "two-heights", _at(file, (len(file) - 2,), segment(0xDC, struct.pack(">H", SIZE[1] + 1)))
    yield "height-said-late", _patched(_at(file, (len(file) - 2,), segment(0xDC, struct.pack(">H", SIZE[1]))), frame + 5, b"\0\0")
    yield "two-frames", _at(file, (scan,), file[frame : frame + 19])
    yield "coefficients-beyond-samples", _pillow().replace(b"\xff\xdb\0\x43\0\5", b"\xff\xdb\0\x43\0\xff")
    yield "difference-of-16-bits-in-a-table", file.replace(bytes(range(12)), bytes((*range(11), 16)))
    yield "no-steps", _without(file, 0xDB)
    yield "no-frame", _without(file, 0xC0)
    yield "a-table-of-codes-missing", _without_last(file, 0xC4)
    yield "unknown-marker", _at(file, (frame,), segment(0x4F, b"what"))
    yield "second-start", _at(file, (frame,), b"\xff\xd8")
    yield "component-without-scan", _made(scans=[Scan((0,)), Scan((1,))])
    yield "component-with-two-scans", _made(scans=[Scan((0,)), Scan((1,)), Scan((2,)), Scan((0,))])
    yield "scan-out-of-order", _made(scans=[Scan((0, 2, 1))])
    yield "more-than-ten-blocks", _made(sampling=[(4, 2), (2, 1), (1, 1)])
    yield "colours-two-thirds-of-luma", _made(sampling=[(3, 1), (2, 1), (2, 1)])
    yield "progressive-without-refinement", _progressive([Scan((0,), 1, 63, 0, 1)])
    yield "progressive-without-last-coefficients", _progressive([Scan((0,), 1, 40)])
    yield "progressive-refined-twice", _progressive([Scan((0,), 1, 63, 0, 1), Scan((0,), 1, 63, 1, 0), Scan((0,), 1, 63, 1, 0)])
    yield "progressive-refined-before", _progressive([Scan((0,), 1, 63, 1, 0)])
    yield "progressive-without-dc", _made("grey", scans=[Scan((0,), 1, 63)], progressive=True)


def _pillow(**settings: object) -> bytes:
    y, x = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    noise = np.random.default_rng(5).integers(0, 60, (SIZE[1], SIZE[0], 3))
    image = np.stack([x * 5, y * 8, 190 - x * 2 - y * 4], -1) + noise
    buffer = io.BytesIO()
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85, **settings)
    return buffer.getvalue()


def _made(
    kind: str = "444", sampling: list[tuple[int, int]] | None = None, scans: list[Scan] | None = None, **rest: object
) -> bytes:
    parts = sampling or SAMPLINGS[kind]
    layout = Layout(*SIZE, parts, scans or [Scan(tuple(range(len(parts))))], **rest)  # type: ignore
    return write(layout, [samples(layout, component) for component in range(len(parts))], standard_codes())


def _progressive(scans: list[Scan]) -> bytes:
    return _made("grey", scans=[Scan((0,), 0, 0), *scans], progressive=True)


def _redefined() -> bytes:
    """Return a file that defines other steps between its scans: those of the first scan of a
    component hold.
    """
    file = _made("444", scans=[Scan((0,)), Scan((1,)), Scan((2,))])
    second = file.index(b"\xff\xda", file.index(b"\xff\xda") + 2)
    third = file.index(b"\xff\xda", second + 2)
    return _at(file, (third,), segment(0xDB, b"\1" + bytes([8] * 64)) + segment(0xDB, b"\0" + bytes([1] * 64)))


def _adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes((transform,)))


def _at(file: bytes, places: tuple[int, ...], inserted: bytes) -> bytes:
    for place in sorted((place % len(file) for place in places), reverse=True):
        file = file[:place] + inserted + file[place:]
    return file


def _patched(file: bytes, place: int, values: bytes) -> bytes:
    return file[:place] + values + file[place + len(values) :]


def _segments(file: bytes) -> list[tuple[int, bytes]]:
    """Return the segments before the first scan, each with its marker."""
    found, position = [], 2
    while file[position + 1] != 0xDA:
        end = position + 2 + int.from_bytes(file[position + 2 : position + 4], "big")
        found.append((file[position + 1], file[position:end]))
        position = end
    return found


def _with_segments(file: bytes, segments: list[bytes]) -> bytes:
    return b"\xff\xd8" + b"".join(segments) + file[file.index(b"\xff\xda") :]


def _without(file: bytes, marker: int) -> bytes:
    return _with_segments(file, [contents for kind, contents in _segments(file) if kind != marker])


def _without_last(file: bytes, marker: int) -> bytes:
    found = _segments(file)
    last = max(place for place, (kind, _) in enumerate(found) if kind == marker)
    return _with_segments(file, [contents for place, (_, contents) in enumerate(found) if place != last])


def _frame_first(file: bytes) -> bytes:
    found = _segments(file)
    frame = [contents for kind, contents in found if kind == 0xC0]
    return _with_segments(file, frame + [contents for kind, contents in found if kind != 0xC0])


def _joined(file: bytes) -> bytes:
    """Return the file with one segment for all tables of a kind."""
    found = _segments(file)
    joined = [segment(kind, b"".join(part[4:] for marker, part in found if marker == kind)) for kind in (0xDB, 0xC4)]
    return _with_segments(file, joined + [contents for kind, contents in found if kind not in (0xDB, 0xC4)])


def _deep_steps(file: bytes) -> bytes:
    """Return the file with its steps in 16 bits, as only an extended frame may have them."""
    deep = []
    for kind, contents in _segments(file.replace(b"\xff\xc0", b"\xff\xc1", 1)):
        if kind == 0xDB:
            contents = segment(kind, bytes((contents[4] | 0x10,)) + b"".join(bytes((0, step)) for step in contents[5:69]))
        deep.append(contents)
    return _with_segments(file, deep)
