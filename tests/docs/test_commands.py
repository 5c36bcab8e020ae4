"""Every `roomledger` command and every query of the documents runs, on a small installation with real servers."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from roomledger import settings
from roomledger.runtime import open_runtime
from tests.docs.commands import run
from tests.docs.markdown import Block, blocks, commands

EXIT_CODES = {"audit completeness": 3}
"""Commands whose answer for this installation is not a success: a transcript was planned and is not there."""
UNTIL_CTRL_C = ["listen"]
DEMO = ["--config", ".work/demo/roomledger.toml"]
COMMANDS = {" ".join(words[1:]): words[1:] for _, words in commands() if words[0].rpartition("/")[2] == "roomledger"}
ON_GOOGLE = [name for name in COMMANDS if name.startswith("notifications gcs")]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ON_GOOGLE and name not in UNTIL_CTRL_C])
def test_a_command_runs(
    name: str, installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = COMMANDS[name]
    if words[-2:] == DEMO:
        words = words[:-2]
    code = run(words)
    shown = capfd.readouterr()
    assert code == EXIT_CODES.get(name, 0), shown.err
    if "--output" in words:
        assert shown.err.startswith("Wrote ")
        assert (tmp_path / words[-1]).stat().st_size > 0
        return
    assert shown.err == ""
    assert shown.out.strip() not in ("", "Nothing.", "No rows.")


@pytest.mark.parametrize("name", ON_GOOGLE)
def test_a_command_for_google_cloud_runs(
    name: str, google_settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for variable, value in google_settings.items():
        monkeypatch.setenv(variable, value)
    assert run(COMMANDS[name]) == 0, capfd.readouterr().err


def test_listening_runs_until_ctrl_c(installation: Path) -> None:
    assert [name for name in COMMANDS if name in UNTIL_CTRL_C] == UNTIL_CTRL_C
    command = [sys.executable, "-c", "from roomledger.cli.main import app; app()", *UNTIL_CTRL_C]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Listening to ")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize("block", blocks("sql"), ids=lambda block: block.document.name)
def test_a_query_finds_something(block: Block, installation: Path) -> None:
    runtime = open_runtime(settings.read(installation, {}))
    with runtime.database.begin(read_only=True) as tx:
        assert tx.exec_driver_sql(block.content).all()
