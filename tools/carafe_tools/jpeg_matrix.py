"""Makes JPEG files of every kind: samplings, modes, orders of scans, restart intervals, places of
tables, sizes.

Comes out: names with bytes, and the RGB pixels that Pillow reads.
"""

import io
import itertools
from collections.abc import Iterator

import numpy as np
from PIL import Image

from carafe_tools.jpeg_writer import Codes, Layout, Scan, write

SAMPLINGS: dict[str, list[tuple[int, int]]] = {
    "grey": [(1, 1)],
    "grey-2x2": [(2, 2)],
    "444": [(1, 1)] * 3,
    "422": [(2, 1), (1, 1), (1, 1)],
    "440": [(1, 2), (1, 1), (1, 1)],
    "420": [(2, 2), (1, 1), (1, 1)],
    "411": [(4, 1), (1, 1), (1, 1)],
    "441": [(1, 4), (1, 1), (1, 1)],
    "410": [(4, 2), (1, 1), (1, 1)],
    "3x1": [(3, 1), (1, 1), (1, 1)],
    "1x3": [(1, 3), (1, 1), (1, 1)],
    "2x2-2x1-1x2": [(2, 2), (2, 1), (1, 2)],
    "luma-small": [(1, 1), (2, 2), (2, 1)],
    "444-as-222": [(2, 1), (2, 1), (2, 1)],
    "four": [(1, 1)] * 4,
    "four-420": [(2, 2), (1, 1), (1, 1), (2, 2)],
}
SIZES = [(32, 32), (37, 23), (17, 9), (3, 41), (1, 1)]
MODES = ("one-scan", "each", "luma-then-colours", "progressive", "progressive-deep")
ORDERS = ("forward", "backward")
RESTARTS = (0, 1, 5)
PLACES = ("front", "each", "none")
ADOBE_YCCK = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\2"


def files(every: bool = False) -> Iterator[tuple[str, bytes, np.ndarray]]:
    """Yield every sampling, mode and size, with the rest in turn, or every combination."""
    for name, contents in _files(selected=not every):
        yield name, contents, np.asarray(Image.open(io.BytesIO(contents)).convert("RGB"))


def _files(selected: bool) -> Iterator[tuple[str, bytes]]:
    standard = standard_codes()
    for number, (sampling, mode, size) in enumerate(itertools.product(SAMPLINGS, MODES, SIZES)):
        rest = [kind for kind in itertools.product(ORDERS, RESTARTS, PLACES) if _makes_sense(sampling, mode, *kind)]
        for order, restart, place in [rest[number * 5 % len(rest)]] if selected and rest else rest:
            name = f"{sampling}_{mode}_{size[0]}x{size[1]}_{order}_restart-{restart}_tables-{place}"
            yield name, _file(sampling, mode, size, order, restart, place, standard)


def _makes_sense(sampling: str, mode: str, order: str, restart: int, place: str) -> bool:
    parts = SAMPLINGS[sampling]
    if mode == "one-scan" and (order == "backward" or (place == "each" and restart)):
        return False
    if mode in ("each", "luma-then-colours") and len(parts) == 1:
        return False
    return not (mode.startswith("progressive") and place == "none")


def _file(
    sampling: str, mode: str, size: tuple[int, int], order: str, restart: int, place: str, standard: dict[int, Codes]
) -> bytes:
    parts = SAMPLINGS[sampling]
    layout = Layout(*size, parts, _scans(mode, len(parts), order), mode.startswith("progressive"), restart, place)
    if sampling == "four-420":
        layout.before_frame = ADOBE_YCCK
    return write(layout, [samples(layout, component) for component in range(len(parts))], standard)


def _scans(mode: str, components: int, order: str) -> list[Scan]:
    every = tuple(range(components))
    turn = every if order == "forward" else every[::-1]
    if mode == "one-scan" or (components == 1 and mode in ("each", "luma-then-colours")):
        return [Scan(every)]
    if mode == "each":
        return [Scan((index,)) for index in turn]
    if mode == "luma-then-colours":
        scans = [Scan(every[:1]), Scan(every[1:])]
        return scans if order == "forward" else scans[::-1]
    if mode == "progressive":
        return [Scan(every, 0, 0)] + [Scan((index,), 1, 63) for index in turn]
    return [
        Scan(every, 0, 0, 0, 1),
        *(Scan((index,), 1, 5, 0, 2) for index in turn),
        *(Scan((index,), 6, 63, 0, 2) for index in turn),
        *(Scan((index,), 1, 63, 2, 1) for index in turn),
        Scan(every, 0, 0, 1, 0),
        *(Scan((index,), 1, 63, 1, 0) for index in turn),
    ]


def samples(layout: Layout, component: int) -> np.ndarray:
    """Return a slope with some noise, another one for each component."""
    width, height = layout.size(component)
    y, x = np.mgrid[0:height, 0:width]
    noise = np.random.default_rng(component).integers(-30, 31, (height, width))
    slope = 128 + 70 * np.sin(x / (5 + component) + component) * np.cos(y / (7 - component))
    return np.clip(slope + noise, 0, 255).round()


def standard_codes() -> dict[int, Codes]:
    """Return the standard's codes, as Pillow writes them."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    file, codes, position = buffer.getvalue(), {}, 2
    while file[position + 1] != 0xDA:
        length = int.from_bytes(file[position + 2 : position + 4], "big")
        payload = file[position + 4 : position + 2 + length]
        if file[position + 1] == 0xC4:
            while payload:
                counts, count = payload[1:17], sum(payload[1:17])
                codes[payload[0]] = _codes(counts, payload[17 : 17 + count])
                payload = payload[17 + count :]
        position += 2 + length
    return codes


def _codes(counts: bytes, symbols: bytes) -> Codes:
    codes: Codes = {}
    code, place = 0, 0
    for length, count in enumerate(counts, 1):
        for _ in range(count):
            codes[symbols[place]] = (code, length)
            code, place = code + 1, place + 1
        code <<= 1
    return codes
