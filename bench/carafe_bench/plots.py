"""The plots of docs/benchmarks.md: small SVG files without a library, readable on light and dark pages."""

import math
from dataclasses import dataclass

from carafe_bench.contestants.registry import ENTRIES
from carafe_bench.results import Results

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 16, 44, 48
LEGEND_ROW = 18
COLOURS = ("#d9480f", "#1971c2", "#2f9e44", "#9c36b5", "#e8a500", "#0c8599", "#868e96", "#e64980")

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """Lines over two axes; the horizontal one is logarithmic where its values double."""

    title: str
    horizontal: str
    vertical: str
    lines: dict[str, Points]
    is_logarithmic: bool = False


def plots(results: Results) -> dict[str, str]:
    """Return every plot that there are results for, by its file's name."""
    speed, first = "decode_tokens_per_second", "ttft_p50_ms"
    charts = {
        "batch-width": Chart("Batch width", "requests at once", "tokens/s", _widths(results, speed), True),
        "context-speed": Chart("Context", "tokens before", "tokens/s of one sequence", _lines(results, "context", speed)),
        "context-first": Chart("Prompt", "tokens of the prompt", "first token, ms", _lines(results, "context", first)),
    }
    return {name: draw(chart) for name, chart in charts.items() if chart.lines}


def _lines(results: Results, scenario: str, figure: str) -> dict[str, Points]:
    lines = {}
    for name in results.contestants(scenario):
        spreads = [(float(task), results.spread((scenario, task, name), figure)) for task in results.tasks(scenario)]
        lines[ENTRIES[name].title] = [(place, spread.median) for place, spread in spreads if spread is not None]
    return lines


def _widths(results: Results, figure: str) -> dict[str, Points]:
    """Join the widths of the aggregate scenario and the wider ones."""
    lines, wider = _lines(results, "aggregate", figure), _lines(results, "width", figure)
    return {name: sorted(points + wider.get(name, [])) for name, points in lines.items()}


def draw(chart: Chart) -> str:
    """Return a chart as SVG."""
    places = [place for points in chart.lines.values() for place, _ in points]
    top = _round_up(max(value for points in chart.lines.values() for _, value in points))
    height = HEIGHT + LEGEND_ROW * len(chart.lines)
    body = [_frame(chart), *_vertical_axis(top), *_horizontal_axis(chart, sorted(set(places)))]
    for index, (name, points) in enumerate(chart.lines.items()):
        body += _line(chart, points, top, COLOURS[index % len(COLOURS)], places)
        body += _legend(name, index)
    style = "text{font:12px sans-serif;fill:#868e96}line{stroke:#868e96;stroke-opacity:.3}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">'
    return "\n".join([head, f"<title>{chart.title}</title><style>{style}</style>", *body, "</svg>\n"])


def _frame(chart: Chart) -> str:
    middle = (LEFT + WIDTH - RIGHT) / 2
    return (
        f'<text x="{LEFT}" y="20" font-weight="bold">{chart.vertical}</text>'
        f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{chart.horizontal}</text>'
    )


def _vertical_axis(top: float) -> list[str]:
    lines = []
    for step in range(6):
        value = top * step / 5
        y = _y(value, top)
        lines.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.6g}</text>'
        )
    return lines


def _horizontal_axis(chart: Chart, places: list[float]) -> list[str]:
    marks = [(place, _x(chart, place, places)) for place in places]
    return [f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{place:g}</text>' for place, x in marks]


def _line(chart: Chart, points: Points, top: float, colour: str, places: list[float]) -> list[str]:
    dots = [(_x(chart, place, places), _y(value, top)) for place, value in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    circles = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in dots)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', circles]


def _legend(name: str, index: int) -> list[str]:
    y, colour = HEIGHT + LEGEND_ROW * index, COLOURS[index % len(COLOURS)]
    return [f'<rect x="{LEFT}" y="{y}" width="12" height="4" fill="{colour}"/><text x="{LEFT + 20}" y="{y + 7}">{name}</text>']


def _x(chart: Chart, place: float, places: list[float]) -> float:
    scale = math.log2 if chart.is_logarithmic else float
    low, high = scale(min(places)), scale(max(places))
    share = (scale(place) - low) / (high - low) if high > low else 0.5
    return LEFT + 10 + share * (WIDTH - LEFT - RIGHT - 20)


def _y(value: float, top: float) -> float:
    return TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM)


def _round_up(value: float) -> float:
    """Return the next number that five equal steps divide well."""
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if step * power >= value)
