from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.times import parse_epoch, parse_rfc3339


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-08-15T17:38:10Z", datetime(2024, 8, 15, 17, 38, 10, tzinfo=UTC)),
        ("2024-08-15t17:38:10z", datetime(2024, 8, 15, 17, 38, 10, tzinfo=UTC)),
        ("2024-08-15 17:38:10Z", datetime(2024, 8, 15, 17, 38, 10, tzinfo=UTC)),
        ("2024-08-15T17:38:10.5Z", datetime(2024, 8, 15, 17, 38, 10, 500_000, tzinfo=UTC)),
        ("2024-08-15T17:38:10.123456999Z", datetime(2024, 8, 15, 17, 38, 10, 123_456, tzinfo=UTC)),
        ("2024-08-15T17:38:10+05:30", datetime(2024, 8, 15, 12, 8, 10, tzinfo=UTC)),
        ("2024-08-15T17:38:10-00:00", datetime(2024, 8, 15, 17, 38, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00.000000000+05:30", None),
    ],
)
def test_rfc3339(text: str, expected: datetime | None) -> None:
    found = parse_rfc3339(text)
    assert found == expected
    assert found is None or found.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-08-15",
        "2024-08-15T17:38:10",
        "2024-08-15T17:38Z",
        "2024-W33-4T17:38:10Z",
        "20240815T173810Z",
        "2024-02-30T17:38:10Z",
        "2024-08-15T25:00:00Z",
        "2024-08-15T17:38:60Z",
        "2024-08-15T17:38:10Z ",
        "2024-08-15T17:38:10Z\n",
        "٢٠٢٤-08-15T17:38:10Z",
        "9999-12-31T23:59:59-01:00",
        "1723743490",
    ],
)
def test_no_rfc3339(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", fullmatch=True))
def test_any_text_is_a_time_or_a_value_error(text: str) -> None:
    try:
        parse_rfc3339(text)
    except ValueError:
        return


@given(st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # hypothesis wants it naive
def test_what_is_written_is_read(moment: datetime) -> None:
    assert parse_rfc3339(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "digits", ["1723743355", "1723743355000", "1723743355000000", "1723743355000000000"], ids=["s", "ms", "us", "ns"]
)
def test_epoch(digits: str) -> None:
    assert parse_epoch(digits) == datetime(2024, 8, 15, 17, 35, 55, tzinfo=UTC)


def test_epoch_keeps_fractions() -> None:
    assert parse_epoch("1723743355007") == datetime(2024, 8, 15, 17, 35, 55, 7_000, tzinfo=UTC)
    assert parse_epoch("1723743355000001999") == datetime(2024, 8, 15, 17, 35, 55, 1, tzinfo=UTC)


@pytest.mark.parametrize("digits", ["", "0", "20240815", "172374335500", "17237433550000", "-723743355000", "١" * 13])
def test_no_epoch(digits: str) -> None:
    assert parse_epoch(digits) is None
