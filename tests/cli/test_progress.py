"""Progress: how far, how fast, how long still; a bar on a terminal, elsewhere few lines."""

from __future__ import annotations

import io
import os
import pty
import subprocess
from pathlib import Path

import pytest

from roomledger.cli import progress
from roomledger.cli.progress import Work
from tests.cli.program import COMMAND, roomledger
from tests.folders import chat, chat_key, put


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_has_rates_and_the_remaining_time() -> None:
    clock = Clock()
    work = Work("loading", total=12_000, clock=clock)
    assert work.line() == "loading 0 of 12,000 objects"
    clock.now += 10
    work.advance(4_000, rows=123_000)
    assert work.line() == "loading 4,000 of 12,000 objects, 400/s, 12,300 rows/s, 20 s left"
    clock.now += 30
    work.advance(8_000)
    assert work.line() == "loading 12,000 of 12,000 objects, 300/s, 3,075 rows/s"


def test_work_of_unknown_size_has_a_rate_alone() -> None:
    clock = Clock()
    work = Work("acme:", "objects listed", clock=clock)
    clock.now += 4
    work.advance(10)
    assert work.line() == "acme: 10 objects listed, 2.5/s"


def test_more_than_expected_raises_the_total() -> None:
    work = Work("loading", total=1)
    work.advance(3)
    assert work.line().startswith("loading 3 of 3 objects")


def test_without_a_terminal_lines_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stream = Clock(), io.StringIO()
    with progress.progress(stream=stream) as begin:
        work = begin("loading", total=100)
        work.clock, work.began = clock, clock.now
        for _ in range(100):
            clock.now += 1
            work.advance()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "loading 10 of 100 objects, 1.0/s, 1 min 30 s left"


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.progress(quiet=True) as begin:
        begin("loading", total=2).advance(2)
    assert capsys.readouterr() == ("", "")
    with progress.progress() as begin:
        begin("loading", total=2).advance(2)
    assert capsys.readouterr().err.startswith("loading 2 of 2 objects")


def on_terminal(*words: str, config: Path) -> str:
    """Run the command with a terminal as its standard error; return what it shows there."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"ROOMLEDGER_CONFIG": str(config), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([*COMMAND, *words], env=environ, stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the other side is closed
    os.close(ours)
    assert process.returncode == 0, shown
    return shown.decode()


def test_a_terminal_shows_bars_but_not_with_json(ready_config: Path) -> None:
    for number in range(3):
        put(ready_config.parent / "bucket", chat_key(number), chat("hello"))
    shown = on_terminal("run", config=ready_config)
    assert "acme: 3 objects listed" in shown
    assert "loading 3 of 3 objects" in shown
    assert "rows/s" in shown
    assert on_terminal("run", "--json", config=ready_config) == ""
    assert roomledger("run", config=ready_config).stderr == ""
