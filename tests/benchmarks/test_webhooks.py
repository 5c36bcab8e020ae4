"""The webhook benchmark measures, and reports events that are not stored exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks import webhooks

SHORT = ("--without-airflow", "--servers", "2", "--seconds", "0.2", "--lock-warehouse")


def test_latencies_are_measured_and_no_event_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert webhooks.main(SHORT) == 0
    printed = capsys.readouterr().out
    assert "Webhooks: 100/s for 0.2 s, uvicorn alone, warehouse locked; ms" in printed
    assert printed.splitlines()[-2].split("│")[-2].strip() == "0"


@pytest.mark.parametrize("change", [lambda bodies: bodies[1:], lambda bodies: [*bodies, bodies[0]]])
def test_an_event_that_is_not_stored_exactly_once_is_counted(
    change: Callable[[Sequence[bytes]], Sequence[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = webhooks.send
    monkeypatch.setattr(webhooks, "send", lambda urls, bodies, rate: send(urls, change(bodies), rate))
    result = webhooks.measure(1, airflow=False, lock_warehouse=False, per_second=100, seconds=0.05)
    assert result.not_once == 1


def test_a_run_of_less_than_two_events_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        webhooks.main(["--seconds", "0.01"])
    assert "percentiles need at least 2 events: use more --seconds" in capsys.readouterr().err
