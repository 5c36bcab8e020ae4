"""The plot shows the given values."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from benchmarks.plot import Panel, distributions, permilles

SVG = "{http://www.w3.org/2000/svg}"
EVEN = [number / 10 for number in range(1, 101)]  # 0.1 s to 10 s


def draw(*panels: Panel) -> ElementTree.Element:
    return ElementTree.fromstring(distributions("Title & <more>", 'Sub"title', panels, "seconds"))


def texts(svg: ElementTree.Element) -> list[tuple[str, float]]:
    """Each text with its x position."""
    return [(element.text or "", float(element.attrib["x"])) for element in svg.iter(f"{SVG}text")]


def ticks(svg: ElementTree.Element) -> dict[str, float]:
    """The numbers on the axis, with their x positions."""
    return {text: x for text, x in texts(svg) if text.replace(".", "").isdigit()}


def labels(svg: ElementTree.Element) -> list[str]:
    return [text for text, _ in texts(svg) if "within" in text]


def curves(svg: ElementTree.Element) -> list[list[tuple[float, float]]]:
    found = []
    for line in svg.iter(f"{SVG}polyline"):
        pairs = (point.split(",") for point in line.attrib["points"].split())
        found.append([(float(x), float(y)) for x, y in pairs])
    return found


@pytest.mark.parametrize(
    ("values", "median", "p95", "greatest"),
    [([7.0], 7, 7, 7), ([4.0, 1.0, 2.0], 2, 3.8, 4), ([8.0, 1.0, 2.0, 4.0], 3, 7.4, 8), ([-1.0, 1.0], 0, 0.9, 1)],
)
def test_permilles_are_those_of_percentile_cont(
    values: list[float], median: float, p95: float, greatest: float
) -> None:
    found = permilles(values)
    assert [found[index] for index in (0, 500, 950, 1000)] == pytest.approx([min(values), median, p95, greatest])
    assert len(found) == 1001


def test_a_panel_has_a_curve_for_each_step_and_labels_for_half_and_95_percent() -> None:
    svg = draw(Panel("S3", 100, {"seen": EVEN, "queryable": [2 * one for one in EVEN]}))
    assert {"Title & <more>", 'Sub"title', "seconds", "S3", "seen", "queryable"} <= {text for text, _ in texts(svg)}
    assert labels(svg) == ["half within 10.1 s", "95% within 19 s"]
    seen, queryable = curves(svg)
    assert (seen[0][1], seen[-1][1]) == (queryable[0][1], queryable[-1][1])
    assert seen[0][1] > seen[-1][1]  # From 0 % at the bottom to 100 % at the top.
    assert list(ticks(svg)) == [str(number) for number in range(0, 21, 2)]
    assert (seen[-1][0], queryable[-1][0]) == (ticks(svg)["10"], ticks(svg)["20"])


def test_missing_objects_keep_the_curve_below_100_percent() -> None:
    heights = [one[0][1] - one[-1][1] for one in curves(draw(*(Panel("p", n, {"q": EVEN}) for n in (100, 200, 400))))]
    assert [height / heights[0] for height in heights] == pytest.approx([1, 0.5, 0.25], abs=0.01)
    assert labels(draw(Panel("p", 125, {"q": EVEN}))) == ["half within 6.29 s"]


@pytest.mark.parametrize("values", [[], [0.0], [-3.0, 0.5], [0.004], [86400.0]])
def test_any_values_can_be_drawn(values: list[float]) -> None:
    svg = draw(Panel("p", 3, {"seen": [], "queryable": values}))
    across = [x for line in curves(svg) for x, _ in line]
    assert len(curves(svg)) == bool(values)
    assert all(ticks(svg)["0"] <= x <= max(ticks(svg).values()) for x in across)


@pytest.mark.parametrize(
    ("longest", "first", "last"),
    [(0.9, "0.1", "0.9"), (1, "0.1", "1"), (1.1, "0.2", "1.2"), (6.2, "1", "7"), (37, "5", "40"), (300, "50", "300")],
)
def test_an_axis_has_at_most_11_round_ticks(longest: float, first: str, last: str) -> None:
    found = list(ticks(draw(Panel("p", 1, {"q": [longest]}))))
    assert (found[1], found[-1]) == (first, last)
    assert len(found) <= 11
