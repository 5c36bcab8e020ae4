from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.times import EARLIEST, LATEST, parse_epoch, parse_rfc3339


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


@given(st.integers(0, int((LATEST - EARLIEST).total_seconds() * 1_000_000) - 1))
def test_what_is_written_is_read(microseconds: int) -> None:
    moment = EARLIEST + timedelta(microseconds=microseconds)
    assert parse_rfc3339(moment.isoformat()) == moment


@pytest.mark.parametrize(
    "text",
    [
        "0002-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59-10:00",
    ],
)
def test_a_time_that_no_recording_can_have_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not in the years 1970 to 2199"):
        parse_rfc3339(text)


@pytest.mark.parametrize("offset", ["+10:75", "-00:60", "+24:00", "+99:00"])
def test_an_offset_that_no_clock_has_is_an_error(offset: str) -> None:
    with pytest.raises(ValueError, match="is not an RFC 3339 time"):
        parse_rfc3339(f"2024-08-15T17:38:10{offset}")


def test_an_epoch_that_no_recording_can_have_is_none() -> None:
    assert parse_epoch("7258118400") is None
    assert parse_epoch("7258118399") == LATEST - timedelta(seconds=1)


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
