"""A plot of growth: seconds by number of objects, both on logarithmic scales, one panel per measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil, floor, log10
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.plot import COLOURS, LEFT, RIGHT, TOP, WIDTH, document, legend

_COLUMNS, _PANEL, _GAP = 2, 150, 60
_TOP, _BOTTOM = TOP + 14, 62
"""Space above the first panels, which have titles, and below the last ones."""
_ACROSS = (WIDTH - LEFT - RIGHT - (_COLUMNS - 1) * _GAP) / _COLUMNS
"""Width of a panel."""


class Panel(NamedTuple):
    """One set of axes: per curve its seconds by size, and what its label adds."""

    name: str
    curves: Mapping[str, Mapping[int, float]]
    """The same in all panels; sizes and seconds are greater than 0."""
    labels: Mapping[str, str]


class _Scale(NamedTuple):
    """A logarithmic axis over whole decades."""

    first: int
    last: int

    def share(self, value: float) -> float:
        """The place of a value, from 0 to 1."""
        return (log10(value) - self.first) / (self.last - self.first)

    def decades(self) -> range:
        return range(self.first, self.last + 1)


def growth(title: str, subtitle: str, panels: Sequence[Panel], x_axis: str) -> str:
    """Draw the panels side by side on one scale; return the SVG."""
    rows = ceil(len(panels) / _COLUMNS)
    points = [point for panel in panels for curve in panel.curves.values() for point in curve.items()]
    x, y = (_scale(values) for values in zip(*(points or [(1, 1.0)]), strict=True))
    body = [*legend(panels[0].curves)]
    for number, panel in enumerate(panels):
        row, column = divmod(number, _COLUMNS)
        body += _panel(panel, LEFT + column * (_ACROSS + _GAP), _TOP + row * (_PANEL + _GAP), x, y)
    return document(title, subtitle, body, x_axis, _TOP + rows * (_PANEL + _GAP) - _GAP + _BOTTOM)


def _scale(values: Sequence[float]) -> _Scale:
    first = floor(log10(min(values)))
    return _Scale(first, max(first + 1, ceil(log10(max(values)))))


def _panel(panel: Panel, left: float, top: float, x: _Scale, y: _Scale) -> Iterator[str]:
    def across(size: float) -> float:
        return left + x.share(size) * _ACROSS

    def down(seconds: float) -> float:
        return top + (1 - y.share(seconds)) * _PANEL

    for power in y.decades():
        yield f'<path d="M{left:.1f} {down(10**power):.1f}h{_ACROSS:.1f}" stroke="#e3e3e3"/>'
        label = f'x="{left - 8:.1f}" y="{down(10**power) + 4:.1f}" text-anchor="end" fill="#555"'
        yield f"<text {label}>{10.0**power:g} s</text>"
    for power in x.decades():
        yield f'<path d="M{across(10**power):.1f} {top}v{_PANEL}" stroke="#e3e3e3"/>'
        label = f'x="{across(10**power):.1f}" y="{top + _PANEL + 17}" text-anchor="middle" fill="#555"'
        yield f"<text {label}>{10**power:,}</text>"
    yield f'<text x="{left + 8:.1f}" y="{top - 7}" font-weight="600">{escape(panel.name)}</text>'
    for number, (name, curve) in enumerate(panel.curves.items()):
        if not curve:
            continue
        colour = COLOURS[number]
        line = " ".join(f"{across(size):.1f},{down(seconds):.1f}" for size, seconds in sorted(curve.items()))
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"/>'
        for size, seconds in curve.items():
            yield f'<circle cx="{across(size):.1f}" cy="{down(seconds):.1f}" r="3" fill="{colour}"/>'
        place = f'x="{left + 8:.1f}" y="{top + 18 + 16 * number}" fill="{colour}" font-weight="600"'
        yield f"<text {place}>{escape(panel.labels.get(name, ''))}</text>"
