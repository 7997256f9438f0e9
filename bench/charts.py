"""Charts as SVG: curves on two logarithmic axes, and bars on one. Pure; a library for two charts would weigh more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

#: Told apart by those who do not see red and green (Okabe and Ito, 2008).
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#000000")
_INK, _GREY, _LINE = "#222222", "#666666", "#dddddd"
_WIDTH = 820
#: Between two labels, so that none covers another.
_LABEL_GAP = 17


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    #: What is to be reached; 0 for nothing.
    bound: float = 0.0


def curves(title: str, axis: str, series: Mapping[str, Sequence[tuple[float, float]]], height: int = 460) -> str:
    """Points (x, y), both above 0; `axis` says what y is. Each curve has its name at its end."""
    xs = [x for points in series.values() for x, _ in points]
    ys = [y for points in series.values() for _, y in points]
    left, right, top, bottom = 70, _WIDTH - 270, 64, height - 48
    place_x = _scale(min(xs), max(xs), left, right)
    low, high = 10 ** math.floor(math.log10(min(ys))), 10 ** math.ceil(math.log10(max(ys) * 1.01))
    place_y = _scale(low, high, bottom, top)
    parts = [*_frame(title, height), _text(left, 50, axis, colour=_GREY)]
    for value in _decades(low, high):
        parts += [
            _line(left, place_y(value), right, place_y(value)),
            _text(left - 8, place_y(value) + 4, _short(value), "end"),
        ]
    for value in sorted(set(xs)):
        parts += [_text(place_x(value), bottom + 20, _short(value), "middle")]
    parts.append(_text((left + right) / 2, bottom + 40, "studies", "middle", _GREY))
    ends = {name: place_y(points[-1][1]) for name, points in series.items()}
    labels = _apart(ends, top, bottom)
    for colour, (name, points) in zip(_COLOURS, series.items(), strict=False):
        spots = [(place_x(x), place_y(y)) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in spots]
        said = f"{name}: {_short(points[-1][1])}"
        parts.append(_line(spots[-1][0] + 5, ends[name], right + 16, labels[name], colour))
        parts.append(_text(right + 20, labels[name] + 4, said, colour=colour))
    return _svg(parts, height)


def bars(title: str, axis: str, rows: Sequence[Bar]) -> str:
    """A bar for each row from 1, on a logarithmic axis, with a mark where it was to reach."""
    left, right, top, step = 330, _WIDTH - 60, 84, 24
    height = top + step * len(rows) + 24
    most = max(max(row.value, row.bound) for row in rows)
    least = min(1.0, *(row.value for row in rows))
    low, high = 10 ** math.floor(math.log10(least)), 10 ** math.ceil(math.log10(most))
    place = _scale(low, high, left, right)
    parts = [*_frame(title, height), _text(24, 50, axis, colour=_GREY)]
    for value in _decades(low, high):
        parts += [
            _line(place(value), top - 8, place(value), height - 20),
            _text(place(value), top - 14, _short(value), "middle"),
        ]
    for number, row in enumerate(rows):
        y = top + step * number
        reached = not row.bound or row.value >= row.bound
        begin, end = sorted((place(1), place(row.value)))
        colour = _COLOURS[0] if reached else _COLOURS[1]
        parts.append(_text(left - 10, y + 13, row.label, "end"))
        parts.append(
            f'<rect x="{begin:.1f}" y="{y + 2}" width="{max(end - begin, 1):.1f}" height="15" fill="{colour}"/>'
        )
        if row.bound:
            parts.append(_line(place(row.bound), y - 1, place(row.bound), y + 20, _INK, 2))
        parts.append(_text(max(end, place(row.bound or 1)) + 6, y + 14, _short(row.value)))
    return _svg(parts, height)


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    return _Scale(math.log10(low), math.log10(high) if high > low else math.log10(low) + 1, start, end)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)


def _decades(low: float, high: float) -> Iterator[float]:
    yield from (10.0**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1))


def _apart(wanted: Mapping[str, float], top: float, bottom: float) -> dict[str, float]:
    """The places nearest to the wanted ones at which no label covers another."""
    names = sorted(wanted, key=lambda name: wanted[name])
    places: list[float] = []
    for name in names:
        places.append(max(wanted[name], places[-1] + _LABEL_GAP if places else top))
    limit = bottom
    for at in range(len(places) - 1, -1, -1):
        places[at] = min(places[at], limit)
        limit = places[at] - _LABEL_GAP
    return dict(zip(names, places, strict=True))


def _short(value: float) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def _svg(parts: Sequence[str], height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join([f'{head} font-family="system-ui, sans-serif" font-size="13">', *parts, "</svg>\n"])


def _frame(title: str, height: float) -> list[str]:
    """Its own paper, for readers with a dark page."""
    paper = f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>'
    head = f'<text x="24" y="30" font-size="16" font-weight="600" fill="{_INK}">{escape(title)}</text>'
    return [f"<title>{escape(title)}</title>", paper, head]


def _text(x: float, y: float, said: str, anchor: str = "start", colour: str = _INK) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(said)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str = _LINE, width: float = 1) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width}"/>'
