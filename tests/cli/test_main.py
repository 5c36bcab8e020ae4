"""The options before the verb, the help, and what is imported for them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from roomledger.cli.main import VERBS, load_verb
from tests.cli.program import roomledger
from tests.folders import chat, chat_key, put


@pytest.mark.parametrize("before", ["--config", "-c"])
def test_the_settings_file_is_named_before_or_after_the_verb(ready_config: Path, before: str) -> None:
    first = roomledger(before, str(ready_config), "status", "--json")
    second = roomledger("status", "--json", "--config", str(ready_config))
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout) == json.loads(second.stdout)


def test_the_settings_file_after_the_verb_wins_and_the_environment_comes_last(ready_config: Path) -> None:
    file = str(ready_config)
    assert roomledger("-c", "/nowhere.toml", "status", "-c", file).returncode == 0
    assert roomledger("-c", file, "status", ROOMLEDGER_CONFIG="/nowhere.toml").returncode == 0
    assert roomledger("status", "-c", file, ROOMLEDGER_CONFIG="/nowhere.toml").returncode == 0
    wrong = roomledger("-c", file, "status", "-c", "/nowhere.toml")
    assert (wrong.returncode, wrong.stderr.count("/nowhere.toml")) == (2, 1)
    of_group = roomledger("-c", "/nowhere.toml", "notifications", "s3", "acme")
    assert (of_group.returncode, "no settings file at /nowhere.toml" in of_group.stderr) == (2, True)


def test_the_version() -> None:
    done = roomledger("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"roomledger {metadata.version('roomledger')}\n"


@pytest.mark.parametrize("option", ["--verbose", "-v"])
def test_the_log_shows_the_steps_with_their_times_and_leaves_the_output_alone(ready_config: Path, option: str) -> None:
    quiet, loud = roomledger("status", config=ready_config), roomledger(option, "status", config=ready_config)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert (loud.returncode, loud.stdout) == (0, quiet.stdout)
    assert f"roomledger.cli.app: reading {ready_config}" in loud.stderr
    assert all(line.startswith("+") and " s " in line for line in loud.stderr.splitlines())


def test_the_log_shows_what_a_run_does(ready_config: Path) -> None:
    put(ready_config.parent / "bucket", chat_key(), chat("hello", "there"))
    loud = roomledger("--verbose", "run", "--json", config=ready_config).stderr
    steps = ("collecting acme at file://", "collected acme: {", "claimed 1 objects", "read 2 rows", "is committed: {")
    places = [loud.index(step) for step in steps]
    assert places == sorted(places)


def test_the_help_lists_every_verb_with_the_start_of_its_own() -> None:
    done = roomledger("--help", COLUMNS="200")
    assert done.returncode == 0
    for name, line in VERBS.items():
        assert name in done.stdout
        assert load_verb(name).help.replace("\n", " ").startswith(line)


def commands() -> dict[str, Any]:
    """Give every command by its words."""
    found = {}
    for name in VERBS:
        verb = load_verb(name)
        found |= {f"{name} {sub}": one for sub, one in getattr(verb, "commands", {}).items()} or {name: verb}
    return found


@pytest.mark.parametrize("words", commands())
def test_the_help_of_every_command_has_an_example(words: str) -> None:
    assert re.search(f"(Example: `|\n    )roomledger {words}", commands()[words].help)


def imported(*words: str, **environ: str) -> set[str]:
    """Run the command; return the modules that it has imported."""
    check = (
        "import sys\nfrom roomledger.cli.main import app\n"
        "try: app()\nfinally: print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, *words], env=os.environ | environ, capture_output=True, text=True, check=True
    )
    return set(done.stderr.split())


CLOUDS = {"boto3", "botocore", "google.cloud.storage", "httpx", "obstore", "grpc"}


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_the_list_of_verbs_is_shown_without_databases_and_clouds(words: list[str]) -> None:
    assert imported(*words) & {*CLOUDS, "sqlalchemy", "duckdb", "psycopg", "pyarrow", "alembic", "pandas"} == set()


def test_the_status_needs_a_database_alone(ready_config: Path) -> None:
    found = imported("status", ROOMLEDGER_CONFIG=str(ready_config))
    assert "duckdb" in found
    # Those after the clouds take longer than the database itself.
    assert found & {*CLOUDS, "psycopg", "pyarrow", "alembic", "pandas", "tenacity"} == set()
