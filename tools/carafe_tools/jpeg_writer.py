"""Writes JPEG files of every kind that the decoder must read: any sampling, any scan script,
restart markers, tables anywhere.

Goes in: samples of each component and a list of scans. Comes out: the bytes of a file. Its Huffman
tables are not the best ones, only short: all symbols that occur have codes of one length. Written
after the standard (T.81), sections F and G.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

# diagonal after diagonal, upwards and downwards in turn
ZIGZAG = np.array(sorted(range(64), key=lambda k: (k // 8 + k % 8, k % 8 if (k // 8 + k % 8) % 2 == 0 else k // 8)))
DCT = np.array([[np.cos((2 * x + 1) * u * np.pi / 16) * (np.sqrt(1 / 8) if u == 0 else 0.5) for x in range(8)] for u in range(8)])
# for the first component, and for the others
STEPS = [[3 + k // 4 for k in range(64)], [5 + k // 2 for k in range(64)]]
LONGEST_RUN = 0x7FFF
MOST_BITS = 900  # refinement bits that a run of blocks may collect

Sampling = tuple[int, int]
Codes = dict[int, tuple[int, int]]  # symbol -> code, length


@dataclass
class Scan:
    """One scan: places of its components in the frame, first and last coefficient, bits known
    before and after.
    """

    components: tuple[int, ...]
    first: int = 0
    last: int = 63
    high: int = 0
    low: int = 0


@dataclass
class Layout:
    """What a file looks like around its coefficients."""

    width: int
    height: int
    sampling: list[Sampling]
    scans: list[Scan]
    progressive: bool = False
    restart: int = 0
    # "front", "each" (before each scan) or "none" (the standard's, which are not written)
    tables: str = "front"
    ids: bytes = b"\1\2\3\4"
    before_frame: bytes = b""  # application segments

    def unit(self) -> Sampling:
        """Blocks of the largest component in a unit, across and down."""
        return max(across for across, _ in self.sampling), max(down for _, down in self.sampling)

    def units(self) -> Sampling:
        """Units of the image, across and down."""
        across, down = self.unit()
        return -(-self.width // (across * 8)), -(-self.height // (down * 8))

    def size(self, component: int) -> Sampling:
        """Samples of a component, across and down."""
        (across, down), (most_across, most_down) = self.sampling[component], self.unit()
        return -(-self.width * across // most_across), -(-self.height * down // most_down)


@dataclass
class Token:
    """A symbol with its table (class and number) or none, and the bits that follow it."""

    table: int | None
    symbol: int = 0
    bits: int = 0
    count: int = 0


@dataclass
class _State:
    before: dict[int, int] = field(default_factory=dict)
    run: int = 0
    refinements: list[int] = field(default_factory=list)


def write(layout: Layout, samples: list[np.ndarray], standard: dict[int, Codes] | None = None) -> bytes:
    """Return the file. `standard` has the codes that are used where `tables` is "none"."""
    blocks = [_coefficients(layout, index, values) for index, values in enumerate(samples)]
    scans = [_Encoder(layout, scan, blocks).intervals() for scan in layout.scans]
    file = b"\xff\xd8" + layout.before_frame
    for number, steps in enumerate(STEPS):
        file += segment(0xDB, bytes((number, *steps)))
    parts = [(layout.ids[i], across << 4 | down, int(i > 0)) for i, (across, down) in enumerate(layout.sampling)]
    frame = struct.pack(">BHHB", 8, layout.height, layout.width, len(parts)) + b"".join(bytes(part) for part in parts)
    file += segment(0xC2 if layout.progressive else 0xC0, frame)
    if layout.restart:
        file += segment(0xDD, struct.pack(">H", layout.restart))
    if layout.tables == "front":
        codes, segments = _tables([token for scan in scans for interval in scan for token in interval])
        file += segments
    for scan, intervals in zip(layout.scans, scans, strict=True):
        if layout.tables == "each":
            codes, segments = _tables([token for interval in intervals for token in interval])
            file += segments
        file += _scan_header(layout, scan) + _entropy(intervals, standard if layout.tables == "none" else codes)
    return file + b"\xff\xd9"


def segment(marker: int, payload: bytes) -> bytes:
    """Return a segment with its marker and its length."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(payload) + 2) + payload


def _coefficients(layout: Layout, component: int, samples: np.ndarray) -> np.ndarray:
    """Return quantised coefficients (block rows, block columns, 64) of whole units, in the order of
    the file.
    """
    (across, down), (columns, rows) = layout.sampling[component], layout.units()
    height, width = samples.shape
    padded = np.pad(samples, ((0, rows * down * 8 - height), (0, columns * across * 8 - width)), mode="edge") - 128.0
    blocks = padded.reshape(rows * down, 8, columns * across, 8).swapaxes(1, 2)
    transformed = (DCT @ blocks @ DCT.T).reshape(rows * down, columns * across, 64)[..., ZIGZAG]
    return np.round(transformed / np.array(STEPS[int(component > 0)])).astype(int)


class _Encoder:
    """Turns the coefficients of one scan into tokens."""

    def __init__(self, layout: Layout, scan: Scan, blocks: list[np.ndarray]) -> None:
        self.layout, self.scan, self.blocks = layout, scan, blocks

    def intervals(self) -> list[list[Token]]:
        """Return the tokens of each restart interval."""
        units = list(self._units())
        length = self.layout.restart or len(units)
        return [self._interval(units[start : start + length]) for start in range(0, len(units), length)]

    def _units(self) -> Iterator[list[tuple[int, np.ndarray]]]:
        """Yield the blocks of each unit, with their components."""
        if len(self.scan.components) == 1:
            component = self.scan.components[0]
            width, height = self.layout.size(component)
            for y in range(-(-height // 8)):
                for x in range(-(-width // 8)):
                    yield [(component, self.blocks[component][y, x])]
            return
        columns, rows = self.layout.units()
        for row in range(rows):
            for column in range(columns):
                yield [block for component in self.scan.components for block in self._unit(component, column, row)]

    def _unit(self, component: int, column: int, row: int) -> Iterator[tuple[int, np.ndarray]]:
        across, down = self.layout.sampling[component]
        for y in range(row * down, (row + 1) * down):
            for x in range(column * across, (column + 1) * across):
                yield component, self.blocks[component][y, x]

    def _interval(self, units: list[list[tuple[int, np.ndarray]]]) -> list[Token]:
        state = _State()
        tokens = [token for unit in units for component, block in unit for token in self._block(component, block, state)]
        return tokens + list(_end_run(0x10 | min(self.scan.components[0], 1), state))

    def _block(self, component: int, block: np.ndarray, state: _State) -> Iterator[Token]:
        number, low = min(component, 1), self.scan.low
        if not self.layout.progressive:
            yield self._difference(number, component, int(block[0]), state)
            yield from self._coefficients(0x10 | number, block[1:], None)
        elif self.scan.first == 0 and self.scan.high == 0:
            yield self._difference(number, component, int(block[0]) >> low, state)
        elif self.scan.first == 0:
            yield Token(None, bits=int(block[0]) >> low & 1, count=1)
        elif self.scan.high == 0:
            part = block[self.scan.first : self.scan.last + 1]
            yield from self._coefficients(0x10 | number, np.sign(part) * (np.abs(part) >> low), state)
        else:
            yield from self._refine(0x10 | number, block[self.scan.first : self.scan.last + 1], state)

    def _difference(self, number: int, component: int, value: int, state: _State) -> Token:
        difference = value - state.before.get(component, 0)
        state.before[component] = value
        size, bits = _magnitude(difference)
        return Token(number, size, bits, size)

    def _coefficients(self, table: int, values: np.ndarray, state: _State | None) -> Iterator[Token]:
        """Yield tokens of coefficients; without a state each block has an end of its own."""
        run = 0
        for value in values:
            if value == 0:
                run += 1
                continue
            if state:
                yield from _end_run(table, state)
            while run > 15:
                yield Token(table, 0xF0)
                run -= 16
            size, bits = _magnitude(int(value))
            yield Token(table, run << 4 | size, bits, size)
            run = 0
        if run and state is None:
            yield Token(table, 0)
        elif run and state:
            state.run += 1
            if state.run == LONGEST_RUN:
                yield from _end_run(table, state)

    def _refine(self, table: int, values: np.ndarray, state: _State) -> Iterator[Token]:
        levels = np.abs(values) >> self.scan.low
        last_new = max((place for place, level in enumerate(levels) if level == 1), default=-1)
        run, known = 0, []
        for place, level in enumerate(levels):
            if level == 0:
                run += 1
                continue
            while run > 15 and place <= last_new:
                yield from _end_run(table, state)
                yield Token(table, 0xF0)
                yield from _bits(known)
                run, known = run - 16, []
            if level > 1:
                known.append(int(level) & 1)
                continue
            yield from _end_run(table, state)
            yield Token(table, run << 4 | 1, int(values[place] > 0), 1)
            yield from _bits(known)
            run, known = 0, []
        if run or known:
            state.run += 1
            state.refinements += known
            if state.run == LONGEST_RUN or len(state.refinements) > MOST_BITS:
                yield from _end_run(table, state)


def _end_run(table: int, state: _State) -> Iterator[Token]:
    if state.run:
        size = state.run.bit_length() - 1
        yield Token(table, size << 4, state.run - (1 << size), size)
        yield from _bits(state.refinements)
        state.run, state.refinements = 0, []


def _bits(values: list[int]) -> Iterator[Token]:
    return (Token(None, bits=value, count=1) for value in values)


def _magnitude(value: int) -> tuple[int, int]:
    size = abs(value).bit_length()
    return size, value if value > 0 else value + (1 << size) - 1


def _tables(tokens: list[Token]) -> tuple[dict[int, Codes], bytes]:
    """Return codes of one length for the symbols of each table, and the segments that define
    them.
    """
    codes: dict[int, Codes] = {}
    segments = b""
    for table in sorted({token.table for token in tokens if token.table is not None}):
        symbols = sorted({token.symbol for token in tokens if token.table == table})
        length = len(symbols).bit_length()  # a code of ones alone stays free
        codes[table] = {symbol: (code, length) for code, symbol in enumerate(symbols)}
        counts = bytes(len(symbols) if bits == length else 0 for bits in range(1, 17))
        segments += segment(0xC4, bytes((table,)) + counts + bytes(symbols))
    return codes, segments


def _scan_header(layout: Layout, scan: Scan) -> bytes:
    parts = b"".join(bytes((layout.ids[index], min(index, 1) * 0x11)) for index in scan.components)
    return segment(0xDA, bytes((len(scan.components),)) + parts + bytes((scan.first, scan.last, scan.high << 4 | scan.low)))


def _entropy(intervals: list[list[Token]], codes: dict[int, Codes]) -> bytes:
    data = b""
    for number, tokens in enumerate(intervals):
        if number:
            data += bytes((0xFF, 0xD0 + (number - 1) % 8))
        bits = "".join(_text(token, codes) for token in tokens)
        bits += "1" * (-len(bits) % 8)
        whole = int(bits or "0", 2).to_bytes(len(bits) // 8, "big")
        data += whole.replace(b"\xff", b"\xff\0")
    return data


def _text(token: Token, codes: dict[int, Codes]) -> str:
    text = ""
    if token.table is not None:
        code, length = codes[token.table][token.symbol]
        text = f"{code:0{length}b}"
    return text + (f"{token.bits:0{token.count}b}" if token.count else "")
