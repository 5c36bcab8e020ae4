"""Plots of cumulative distributions as SVG: the share of all objects that arrived within so many seconds.

`document` and `legend` draw what other plots have in common with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, log10
from statistics import quantiles
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

# The colour-blind safe palette of Okabe and Ito. The labels describe the last curve.
COLOURS = ("#e69f00", "#56b4e9", "#0072b2")
WIDTH, LEFT, RIGHT, TOP = 820, 56, 30, 92
"""Width of a plot, and its margins."""
_PANEL, _GAP, _BOTTOM = 150, 52, 42


class Panel(NamedTuple):
    """One set of axes: the total number of objects, and per curve the seconds of those that arrived."""

    name: str
    total: int
    curves: Mapping[str, Sequence[float]]
    """At most three, the same in all panels."""


def permilles(values: Sequence[float]) -> list[float]:
    """Return 1001 quantiles of at least one value, from the least to the greatest; the median has the index 500.

    Quantiles between two values are interpolated, as `percentile_cont` does it in SQL.
    """
    inner = quantiles(values, n=1000, method="inclusive") if len(values) > 1 else [*values] * 999
    return [min(values), *inner, max(values)]


def distributions(title: str, subtitle: str, panels: Sequence[Panel], x_axis: str) -> str:
    """Draw the panels below each other on one scale; return the SVG. Negative values are drawn at 0."""
    height = TOP + len(panels) * (_PANEL + _GAP) - _GAP + _BOTTOM + 12
    greatest = max((max(seconds) for panel in panels for seconds in panel.curves.values() if seconds), default=1)
    step = _step(greatest)
    end = max(1, ceil(greatest / step)) * step
    body = [*legend(panels[0].curves)]
    for number, panel in enumerate(panels):
        body += _panel(panel, TOP + number * (_PANEL + _GAP), end, step)
    return document(title, subtitle, body, x_axis, height)


def document(title: str, subtitle: str, body: Sequence[str], x_axis: str, height: int) -> str:
    """Write the SVG around the body of a plot, which leaves the space above TOP free for title and legend."""
    middle = (LEFT + WIDTH - RIGHT) / 2
    texts = [
        f'<text x="{LEFT}" y="28" font-size="18" font-weight="600">{escape(title)}</text>',
        f'<text x="{LEFT}" y="49" fill="#555">{escape(subtitle)}</text>',
        f'<text x="{middle}" y="{height - 14}" text-anchor="middle">{escape(x_axis)}</text>',
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label={quoteattr(f"{title}. {subtitle}")} font-size="13" fill="#222"'
        ' font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join([*texts, *body]) + "\n</svg>\n"
    )


def _step(greatest: float) -> float:
    """Return the distance between axis ticks: 1, 2 or 5 times a power of ten, for 4 to 10 ticks."""
    unit = 10.0 ** ceil(log10(max(greatest, 0.01)) - 1)
    return next(unit * part for part in (0.2, 0.5, 1, 2) if greatest / (unit * part) <= 10)


def _number(figure: float) -> str:
    return f"{figure:.3g}" if abs(figure) < 1000 else f"{figure:.0f}"


def legend(names: Iterable[str]) -> Iterator[str]:
    """Draw the legend of curves with these names, in the order of COLOURS."""
    x = float(LEFT)
    for name, colour in zip(names, COLOURS, strict=False):
        yield f'<line x1="{x:.0f}" y1="68" x2="{x + 22:.0f}" y2="68" stroke="{colour}" stroke-width="3"/>'
        yield f'<text x="{x + 28:.0f}" y="72">{escape(name)}</text>'
        x += 48 + 7.2 * len(name)


def _panel(panel: Panel, top: float, end: float, step: float) -> Iterator[str]:
    def x(seconds: float) -> float:
        return LEFT + max(0.0, seconds) / end * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return top + (1 - share) * _PANEL

    for share in (0, 0.25, 0.5, 0.75, 1):
        yield f'<path d="M{LEFT} {y(share):.1f}H{WIDTH - RIGHT}" stroke="#e3e3e3"/>'
        yield f'<text x="{LEFT - 8}" y="{y(share) + 4:.1f}" text-anchor="end" fill="#555">{share:.0%}</text>'
    for number in range(round(end / step) + 1):
        tick = x(number * step)
        yield f'<path d="M{tick:.1f} {top}V{top + _PANEL}" stroke="#e3e3e3"/>'
        label = _number(number * step)
        yield f'<text x="{tick:.1f}" y="{top + _PANEL + 17}" text-anchor="middle" fill="#555">{label}</text>'
    corner = f'x="{WIDTH - RIGHT - 8}" y="{y(0) - 10:.1f}"'
    yield f'<text {corner} text-anchor="end" font-weight="600">{escape(panel.name)}</text>'
    drawn = [(seconds, colour) for seconds, colour in zip(panel.curves.values(), COLOURS, strict=False) if seconds]
    for seconds, colour in drawn:
        reached = len(seconds) / panel.total
        curve = permilles(seconds)
        line = " ".join(f"{x(curve[n]):.1f},{y(n / 1000 * reached):.1f}" for n in range(0, 1001, 10))
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-linejoin="round"/>'
    for share, words in ((0.5, "half"), (0.95, "95%")):
        seconds, colour = drawn[-1] if drawn else ((), "")
        if len(seconds) < share * panel.total:
            continue  # So many did not arrive.
        figure = permilles(seconds)[round(1000 * share * panel.total / len(seconds))]
        across, down = x(figure), y(share)
        yield f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4" fill="{colour}"/>'
        label = f"{words} within {_number(figure)} s"
        # The label may not fit on the right-hand side; the curve comes from below.
        aside, lower, anchor = (9, 15, "start") if across < 0.75 * WIDTH else (-9, -7, "end")
        yield (
            f'<text x="{across + aside:.1f}" y="{down + lower:.1f}" text-anchor="{anchor}" font-weight="600"'
            f' fill="{colour}" stroke="#fff" stroke-width="3" paint-order="stroke">{label}</text>'
        )
