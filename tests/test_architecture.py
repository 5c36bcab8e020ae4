"""The architecture's rules: who may import whom, where SQL stands, and who may import a driver, a cloud or Airflow.

Every rule is a function from a source tree to a list of violations; it must find none in the package, and it must find
the one that a test plants in a copy.
"""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "include" / "roomledger"
PACKAGE = "roomledger"

FLOORS = {
    "model": set(),
    "times": set(),
    "formats": {"model", "times"},
    "settings": {"model", "times"},
    "stores": {"model", "times"},
    "hundredms": {"model", "times", "stores"},
    "queues": {"model", "times", "settings", "stores"},
    "provisioning": {"settings", "stores"},
    "ledger": {"model", "times", "formats", "settings", "hundredms"},
    "warehouse": {"model", "ledger"},
    "queries": {"model", "times", "hundredms", "ledger", "warehouse"},
    "runtime": {"settings", "stores", "queues", "hundredms", "ledger"},
    "pipeline": {
        *("model", "times", "formats", "settings", "stores", "hundredms", "queues", "ledger", "warehouse", "runtime"),
    },
    "webhook": {"settings", "queues", "hundredms", "runtime"},
    "airflow": {"settings", "stores", "hundredms", "queues", "pipeline", "runtime"},
    "cli": {
        *("model", "times", "settings", "stores", "queues", "ledger", "warehouse", "queries", "runtime", "pipeline"),
        "provisioning",
    },
    "__init__": {"settings", "runtime"},
}
"""Rooms and modules at the root, with the rooms that they may import."""

PURE = {"hundredms": {"fields", "records", "events", "webhooks", "redact"}}
"""Modules that decode payloads: they import `model`, `times` and each other, nothing else of ours and no library."""

LIBRARIES = {
    "airflow": {"airflow"},
    "alembic": {"ledger"},
    "boto3": {"stores", "queues", "provisioning"},
    "botocore": {"stores", "queues", "provisioning"},
    "duckdb": {"ledger/duckdb"},
    "fastapi": {"webhook"},
    "google": {"stores", "queues", "provisioning", "airflow/connections"},
    "grpc": {"queues", "provisioning"},
    "httpx": {"hundredms"},
    "jwt": {"hundredms"},
    "obstore": {"stores", "queues"},
    "pandas": {"queries/frames", "bi"},
    "psycopg": {"ledger/postgres"},
    "rich": {"cli"},
    "sqlalchemy": {"ledger", "warehouse", "queries", "pipeline/sync_workspace", "pipeline/listen", "pipeline/load"}
    | {"pipeline/staging"},
    "starlette": {"webhook"},
    "typer": {"cli"},
}
"""Libraries with the rooms or modules that may import them."""

SQL_ROOMS = {"ledger", "warehouse", "queries"}
MAX_LINES = 350
VAGUE_NAMES = {"utils", "helpers", "common", "base", "misc", "util", "helper"}
LAZY_IMPORTERS = {"runtime", "pipeline/collect", "queues/inbox_bucket", "airflow/triggers", "cli/notifications"}
"""Modules that import some of ours inside a function: where things are opened, to start without what is not needed."""


def modules(root: Path) -> Iterator[tuple[str, Path, ast.Module]]:
    """Give every module by its path without suffix, such as `ledger/claims`."""
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).with_suffix("").as_posix().removesuffix("/__init__")
        yield name, path, ast.parse(path.read_text("utf-8"))


def room_of(name: str) -> str:
    return name.partition("/")[0]


def imports(tree: ast.AST) -> Iterator[str]:
    """Give every imported name with its module in front, wherever the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.AST, known: set[str]) -> set[str]:
    """Give the modules of the package that are imported."""
    found = set()
    for name in imports(tree):
        if name.partition(".")[0] == PACKAGE:
            path = "/".join(name.split(".")[1:])
            while path and path not in known:
                path = path.rpartition("/")[0]
            found.add(path or "__init__")
    return found


def wrong_direction(root: Path) -> list[str]:
    """Rooms import only rooms below them."""
    known = {name for name, _, _ in modules(root)}
    return [
        f"{name} imports {other}"
        for name, _, tree in modules(root)
        for other in sorted(own_imports(tree, known))
        if room_of(other) not in FLOORS[room_of(name)] | {room_of(name)}
    ]


def cycles(root: Path) -> list[str]:
    """No module imports itself over others, imports inside functions and for types among them."""
    known = {name for name, _, _ in modules(root)}
    graph = {name: own_imports(tree, known) - {name} for name, _, tree in modules(root)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def impure_decoders(root: Path) -> list[str]:
    """Formats and payload modules know data only: no store, no settings, no library outside the standard one."""
    wrong = []
    for name, _, tree in modules(root):
        room, _, module = name.partition("/")
        if not (room == "formats" or module in PURE.get(room, ())):
            continue
        for other in imports(tree):
            top, _, rest = other.partition(".")
            ours = top == PACKAGE and rest.split(".")[0] in {"model", "times", room}
            if top == PACKAGE and not ours:
                wrong.append(f"{name} imports {other}")
            if room == "hundredms" and ours and rest.startswith("hundredms.") and rest.split(".")[1] not in PURE[room]:
                wrong.append(f"{name} imports {other}")
            if top in LIBRARIES:
                wrong.append(f"{name} imports {other}")
    return wrong


def foreign_libraries(root: Path) -> list[str]:
    """A library is imported only where it belongs."""
    return [
        f"{name} imports {other}"
        for name, _, tree in modules(root)
        for other in sorted(set(imports(tree)))
        for library, places in LIBRARIES.items()
        if other.partition(".")[0] == library and not {name, room_of(name)} & places
    ]


_EXECUTES = {"execute", "exec_driver_sql", "scalar"}
_STATEMENT = re.compile(r"\b(?:SELECT\s.+?\sFROM|INSERT INTO|DELETE FROM|UPDATE \w+\s+SET|CREATE TEMPORARY)\b", re.S)


def stray_sql(root: Path) -> list[str]:
    """SQL is written and executed in the rooms of ledger, warehouse and queries alone."""
    wrong = []
    for name, _, tree in modules(root):
        if room_of(name) in SQL_ROOMS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EXECUTES:
                wrong.append(f"{name}:{node.lineno} executes SQL")
            if isinstance(node, ast.ImportFrom) and node.module == "sqlalchemy":
                wrong += [f"{name} imports {alias.name}" for alias in node.names if alias.name in ("text", "select")]
    return wrong


def foreign_writes(root: Path) -> list[str]:
    """Control tables are changed by the ledger alone, and no query changes anything."""
    tables = "|".join(
        (
            "object_ledger",
            "observations",
            "loads",
            "refusals",
            "session_changes",
            "vendor_cursors",
            "vendor_events",
            "vendor_unknown_ids",
            r"event_\w+",
            r"\w+_records",
            "rooms",
        )
    )
    write = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(?:{tables})\b")
    any_write = re.compile(r"\b(?:INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|DROP)\b")
    wrong = []
    for name, path, _ in modules(root):
        content = path.read_text("utf-8")
        if room_of(name) != "ledger" and write.search(content):
            wrong.append(f"{name} changes a table of the ledger")
        if room_of(name) == "queries" and any_write.search(content):
            wrong.append(f"{name} changes a table")
    files = sorted(root.rglob("*.sql"))
    return wrong + [f"{path.name} changes a table" for path in files if any_write.search(path.read_text("utf-8"))]


def hidden_imports(root: Path) -> list[str]:
    """Modules of ours are imported at the top, but for those that open what is not always needed."""
    wrong = []
    for name, _, tree in modules(root):
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and name not in LAZY_IMPORTERS:
                inner = {other for other in imports(function) if other.partition(".")[0] == PACKAGE}
                wrong += [f"{name} imports {other} inside a function" for other in sorted(inner)]
    return wrong


def long_or_vague(root: Path) -> list[str]:
    """No module has more than 350 lines, or a name that says nothing."""
    long = [
        f"{name} has {lines} lines"
        for name, path, _ in modules(root)
        if (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES
    ]
    return long + [f"{name} says nothing" for name, _, _ in modules(root) if Path(name).name in VAGUE_NAMES]


RULES = (
    *(wrong_direction, cycles, impure_decoders, foreign_libraries, stray_sql, foreign_writes, hidden_imports),
    long_or_vague,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_every_room_has_a_floor() -> None:
    assert {room_of(name) for name, _, _ in modules(ROOT)} - {"."} <= FLOORS.keys() | {"py"}


@pytest.mark.parametrize(
    ("rule", "module", "line", "found"),
    [
        (
            wrong_direction,
            "ledger/claims",
            "from roomledger.pipeline import load",
            "ledger/claims imports pipeline/load",
        ),
        (wrong_direction, "stores/s3", "from roomledger import runtime", "stores/s3 imports runtime"),
        (cycles, "ledger/versions", "from roomledger.ledger import claims", "ledger/claims"),
        (cycles, "ledger/versions", "def f() -> None:\n    from roomledger.ledger import claims", "ledger/claims"),
        (impure_decoders, "formats/chat", "from roomledger.stores import Store", "roomledger.stores.Store"),
        (impure_decoders, "hundredms/records", "from roomledger.hundredms.http import x", "hundredms.http.x"),
        (impure_decoders, "hundredms/webhooks", "import httpx", "hundredms/webhooks imports httpx"),
        (foreign_libraries, "pipeline/load", "import boto3", "pipeline/load imports boto3"),
        (foreign_libraries, "queries/status", "import pandas as pd", "queries/status imports pandas"),
        (foreign_libraries, "ledger/claims", "import psycopg", "ledger/claims imports psycopg"),
        (foreign_libraries, "settings/queues", "from airflow.sdk import dag", "settings/queues imports airflow"),
        (stray_sql, "pipeline/load", "def f(tx): tx.execute('SELECT 1')", "executes SQL"),
        (stray_sql, "cli/listen", "from sqlalchemy import text", "cli/listen imports text"),
        (foreign_writes, "warehouse/facts", "X = 'UPDATE object_ledger SET reason = 1'", "warehouse/facts changes"),
        (foreign_writes, "queries/status", "X = 'DELETE FROM chat_messages'", "queries/status changes"),
        (hidden_imports, "pipeline/load", "def f():\n    from roomledger import times", "inside a function"),
        (long_or_vague, "stores/folder", "#\n" * 350, "stores/folder has"),
        (long_or_vague, "stores/utils", "X = 1", "stores/utils says nothing"),
    ],
)
def test_a_rule_that_is_broken_says_so(
    tmp_path: Path, rule: Callable[[Path], list[str]], module: str, line: str, found: str
) -> None:
    copy = tmp_path / "roomledger"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert any(found in violation for violation in rule(copy)), rule(copy)
