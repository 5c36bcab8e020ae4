"""The demo reports every count that differs from the expected count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.dataset import generate
from sandbox.demo import Found, differences

EXPECTED = generate(sessions=6).expected
FOUND = Found(
    objects={source: dict(counts) for source, counts in EXPECTED.objects.items()},
    rows=dict(EXPECTED.rows),
    refusals=dict(EXPECTED.refusals),
    ignored=dict(EXPECTED.ignored),
    evidence=dict(EXPECTED.evidence),
    unresolved=dict(EXPECTED.unresolved),
    duplicates=EXPECTED.duplicates,
)


def test_equal_counts_are_not_reported() -> None:
    assert differences(EXPECTED, FOUND) == []


@pytest.mark.parametrize(
    "change",
    [
        {"rows": FOUND.rows | {"chat_messages": FOUND.rows["chat_messages"] + 1}},
        {"refusals": FOUND.refusals | {"bad_json": 0}},
        {"objects": {}},
        {"ignored": FOUND.ignored | {"lost": 1}},
        {"evidence": FOUND.evidence | {"none": 0}},
        {"unresolved": {}},
        {"duplicates": FOUND.duplicates - 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_any_other_count_is_reported(change: dict[str, Any]) -> None:
    [message] = differences(EXPECTED, replace(FOUND, **change))
    assert message.startswith(next(iter(change)))
