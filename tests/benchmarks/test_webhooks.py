"""The measurement of the endpoint: it ends well, and notices an event that is not there once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from benchmarks import webhooks

BRIEFLY = ("--alone", "--servers", "2", "--seconds", "0.2", "--busy")


def test_it_measures(capsys: pytest.CaptureFixture[str]) -> None:
    assert webhooks.main(BRIEFLY) == 0
    shown = capsys.readouterr().out
    assert "Webhooks: 100/s for 0.2 s, uvicorn alone, the warehouse locked; ms" in shown
    assert shown.splitlines()[-2].split("│")[-2].strip() == "0"


@pytest.mark.parametrize("amiss", [lambda bodies: bodies[1:], lambda bodies: [*bodies, bodies[0]]])
def test_it_notices_what_is_not_there_once(
    amiss: Callable[[Sequence[bytes]], Sequence[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    send = webhooks.send
    monkeypatch.setattr(webhooks, "send", lambda urls, bodies, rate: send(urls, amiss(bodies), rate))
    done = webhooks.measure(1, alone=True, busy=False, per_second=100, seconds=0.05)
    assert done.amiss == 1
