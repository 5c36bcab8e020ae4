"""How the tables of two warehouses compare: which rows only one of them has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sandbox.warehouse_contents import Rows


class Difference(NamedTuple):
    """How one table of two warehouses compares."""

    table: str
    equal: int
    missing: Sequence[Mapping[str, Any]]
    """Rows that only the first one has."""
    extra: Sequence[Mapping[str, Any]]
    """Rows that only the second one has."""

    @property
    def differs(self) -> bool:
        """Whether there is any such row."""
        return bool(self.missing or self.extra)


def differences(undisturbed: Mapping[str, Rows], disturbed: Mapping[str, Rows]) -> Iterator[Difference]:
    """Compare table by table; rows that are there several times count as often."""
    for table, (columns, rows) in undisturbed.items():
        # Some cells are JSON, which has no hash: rows are known by what they look like.
        wanted, had = ({repr(row): row for row in each} for each in (rows, disturbed[table].rows))
        counted, found = Counter(map(repr, rows)), Counter(map(repr, disturbed[table].rows))
        yield Difference(
            table,
            (counted & found).total(),
            [dict(zip(columns, wanted[row], strict=True)) for row in sorted((counted - found).elements())],
            [dict(zip(columns, had[row], strict=True)) for row in sorted((found - counted).elements())],
        )
