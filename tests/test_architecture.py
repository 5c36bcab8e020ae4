"""The architecture's rules: who may import whom, where SQL stands, and who may import a driver, a cloud or Airflow.

Every rule is a function from a source tree to a list of violations; it must find none in the package, and it must find
the one that a test plants in a copy.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "include" / "roomledger"
PACKAGE = "roomledger"

MAY_IMPORT = {
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
    "runtime": {"settings", "stores", "queues", "hundredms", "ledger", "warehouse"},
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
STANDARD = {"__future__", "_typeshed", "codecs", "collections", "csv", "dataclasses", "datetime", "hashlib", "io"} | {
    *("itertools", "json", "math", "re", "types", "typing", "unicodedata", "zlib"),
}
"""Libraries of pure modules: those without files, network and processes."""

LIBRARIES = {
    "_typeshed": {"formats"},
    "airflow": {"airflow"},
    "alembic": {"ledger"},
    "boto3": {"stores", "queues", "provisioning"},
    "botocore": {"stores", "queues", "provisioning"},
    "duckdb": {"ledger/duckdb", "warehouse/staged_rows"},
    "fastapi": {"webhook"},
    "google": {"stores", "queues", "provisioning", "airflow/connections"},
    "grpc": {"queues", "provisioning"},
    "httpx": {"hundredms"},
    "jwt": {"hundredms"},
    "obstore": {"stores", "queues"},
    "psycopg": {"ledger/postgres"},
    "pyarrow": {"ledger", "warehouse", "pipeline/collect", "pipeline/staging"},
    "requests": {"stores", "provisioning"},
    "rich": {"cli"},
    "sqlalchemy": {"ledger", "warehouse", "queries", "pipeline"},
    "sqlglot": {"warehouse/dialects"},
    "starlette": {"webhook"},
    "tenacity": {"hundredms", "ledger/duckdb"},
    "typer": {"cli"},
}
"""Libraries with the rooms or modules that may import them; no other library is imported."""

OPENED_BY_RUNTIME = {
    *("stores/s3", "stores/gcs", "stores/folder", "queues/sqs", "queues/pubsub"),
    *("queues/inbox_folder", "queues/inbox_bucket", "ledger/duckdb", "ledger/postgres"),
}
"""Kinds of stores, queues and engines: outside of their rooms only `runtime.py` chooses one."""
SQL_ROOMS = {"ledger", "warehouse", "queries"}
SQL_TYPES = {"sqlalchemy.Connection", "sqlalchemy.Table", "sqlalchemy.exc.DBAPIError"}
"""What other rooms may import of SQLAlchemy: what they hand on, and the errors that they handle."""
EXAMPLES_OF_SQL = {"cli/inspect"}
"""Modules whose help shows a query."""
MAX_LINES = 350
VAGUE_WORDS = {"utils", "helpers", "common", "base", "misc", "util", "helper", "manager"}
LAZY_IMPORTERS = {
    *("runtime", "pipeline/collect", "queues/inbox_bucket", "airflow/triggers"),
    *("cli/main", "cli/failures", "cli/notifications"),
}
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
        if room_of(other) not in MAY_IMPORT.get(room_of(name), set()) | {room_of(name)}
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
            if top != PACKAGE and top not in STANDARD:
                wrong.append(f"{name} imports {other}")
    return wrong


def foreign_libraries(root: Path) -> list[str]:
    """A library is imported only where it belongs."""
    return [
        f"{name} imports {other}"
        for name, _, tree in modules(root)
        for other in sorted(set(imports(tree)))
        if (library := other.partition(".")[0]) not in sys.stdlib_module_names | {PACKAGE}
        and not {name, room_of(name)} & LIBRARIES.get(library, set())
    ]


def second_composition(root: Path) -> list[str]:
    """Which store, queue or engine is opened is decided in `runtime.py` alone."""
    known = {name for name, _, _ in modules(root)}
    return [
        f"{name} imports {other}"
        for name, _, tree in modules(root)
        for other in sorted(own_imports(tree, known) & OPENED_BY_RUNTIME)
        if name != "runtime"
        and room_of(name) != room_of(other)
        and (name, other) != ("queues/inbox_bucket", "stores/s3")
    ]


def unseen_imports(root: Path) -> list[str]:
    """No import escapes the other rules: none is relative or made by a call."""
    wrong = []
    for name, _, tree in modules(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                wrong.append(f"{name}:{node.lineno} has a relative import")
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called.rpartition(".")[2] in ("__import__", "import_module"):
                wrong.append(f"{name}:{node.lineno} imports by a call")
    return wrong


_EXECUTES = {"execute", "exec_driver_sql", "scalar", "scalars"}
_STATEMENT = re.compile(r"\b(?:SELECT\s.+?\sFROM|INSERT INTO|MERGE INTO|DELETE FROM|UPDATE\s+\w+\s+SET)\b", re.S)


def stray_sql(root: Path) -> list[str]:
    """SQL is written and executed in the rooms of ledger, warehouse and queries alone."""
    wrong = []
    for name, _, tree in modules(root):
        if room_of(name) in SQL_ROOMS:
            continue
        libraries = (other for other in imports(tree) if other.partition(".")[0] == "sqlalchemy")
        wrong += [f"{name} imports {other}" for other in libraries if other not in SQL_TYPES]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EXECUTES:
                wrong.append(f"{name}:{node.lineno} executes SQL")
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and name not in EXAMPLES_OF_SQL and _STATEMENT.search(node.value):
                wrong.append(f"{name}:{node.lineno} contains SQL")
    return wrong


_CONTROL_TABLES = (
    *("object_ledger", "observations", "loads", "refusals", "session_changes", "vendor_cursors", "vendor_events"),
    *("vendor_unknown_ids", r"event_\w+", r"\w+_records", "rooms"),
)
_WRITE = r"\b(?:(?:INSERT|MERGE)\s+INTO|UPDATE|DELETE\s+FROM|TRUNCATE(?:\s+TABLE)?|(?:ALTER|DROP)\s+TABLE)\s+"
_CONTROL_WRITE = re.compile(rf"{_WRITE}(?:{'|'.join(_CONTROL_TABLES)})\b", re.I)
_ANY_WRITE = re.compile(rf"{_WRITE}\w+(?:\s+SET\b|\s*\(|\s|$)|\bCREATE\s+(?:TEMP\w*\s+)?TABLE\b|\bDROP\s+\w+\s", re.I)


def foreign_writes(root: Path) -> list[str]:
    """Control tables are changed by the ledger alone, and no query changes anything."""
    wrong = []
    for name, _, tree in modules(root):
        for node in ast.walk(tree):
            content = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if room_of(name) != "ledger" and (_CONTROL_WRITE.search(content) or _builds_write(node)):
                wrong.append(f"{name}:{node.lineno} changes a table of the ledger")
            if room_of(name) == "queries" and _ANY_WRITE.search(content):
                wrong.append(f"{name}:{node.lineno} changes a table")
    files = sorted(root.rglob("*.sql"))
    return wrong + [f"{path.name} changes a table" for path in files if _ANY_WRITE.search(path.read_text("utf-8"))]


def _builds_write(node: ast.AST) -> bool:
    """Whether this is a call such as `loads.delete()`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    table = ast.unparse(node.func.value).rpartition(".")[2]
    is_control = re.fullmatch("|".join(_CONTROL_TABLES), table)
    return node.func.attr in ("insert", "update", "delete", "drop") and is_control is not None


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
    """No file has more than 350 lines, or a name that says nothing."""
    wrong = []
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.sql")]):
        name = path.relative_to(root).with_suffix("").as_posix()
        if (lines := len(path.read_text("utf-8").splitlines())) > MAX_LINES:
            wrong.append(f"{name} has {lines} lines")
        if VAGUE_WORDS & {*path.stem.split("_")}:
            wrong.append(f"{name} says nothing")
    return wrong


RULES = (
    *(wrong_direction, cycles, impure_decoders, foreign_libraries, second_composition, unseen_imports),
    *(stray_sql, foreign_writes, hidden_imports, long_or_vague),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_the_rules_know_every_room() -> None:
    assert {room_of(name) for name, _, _ in modules(ROOT)} - {"."} <= MAY_IMPORT.keys() | {"py"}


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
        (impure_decoders, "hundredms/fields", "import tenacity", "hundredms/fields imports tenacity"),
        (impure_decoders, "formats/chat", "import urllib.request", "formats/chat imports urllib.request"),
        (impure_decoders, "formats/chat", "import pyarrow", "formats/chat imports pyarrow"),
        (foreign_libraries, "pipeline/load", "import boto3", "pipeline/load imports boto3"),
        (foreign_libraries, "queries/status", "import pandas as pd", "queries/status imports pandas"),
        (foreign_libraries, "ledger/claims", "import psycopg", "ledger/claims imports psycopg"),
        (foreign_libraries, "settings/queues", "from airflow.sdk import dag", "settings/queues imports airflow"),
        (foreign_libraries, "pipeline/load", "import celery", "pipeline/load imports celery"),
        (
            foreign_libraries,
            "warehouse/engine",
            "import duckdb_sqlalchemy",
            "warehouse/engine imports duckdb_sqlalchemy",
        ),
        (second_composition, "pipeline/load", "from roomledger.stores.s3 import S3", "pipeline/load imports stores/s3"),
        (second_composition, "airflow/tasks", "from roomledger.queues.sqs import Sqs", "airflow/tasks imports queues"),
        (unseen_imports, "ledger/claims", "from ..pipeline import load", "has a relative import"),
        (unseen_imports, "ledger/claims", "import importlib; importlib.import_module('airflow')", "by a call"),
        (unseen_imports, "ledger/claims", "__import__('roomledger.pipeline.load')", "by a call"),
        (stray_sql, "cli/listen", "Q = 'DELETE FROM chat_messages'", "contains SQL"),
        (stray_sql, "runtime", "Q = f'SELECT count(*) FROM {1}'", "contains SQL"),
        (stray_sql, "pipeline/load", "import sqlalchemy as sa", "pipeline/load imports sqlalchemy"),
        (stray_sql, "pipeline/load", "from sqlalchemy.sql import text", "pipeline/load imports sqlalchemy.sql.text"),
        (stray_sql, "pipeline/load", "from sqlalchemy import delete", "pipeline/load imports sqlalchemy.delete"),
        (stray_sql, "pipeline/load", "def f(tx): tx.scalars(1)", "executes SQL"),
        (stray_sql, "pipeline/load", "def f(tx): tx.execute('SELECT 1')", "executes SQL"),
        (stray_sql, "cli/listen", "from sqlalchemy import text", "cli/listen imports sqlalchemy.text"),
        (
            foreign_writes,
            "warehouse/engine",
            "X = 'UPDATE object_ledger SET reason = 1'",
            "changes a table of the ledger",
        ),
        (foreign_writes, "warehouse/engine", "X = 'merge into object_ledger using x'", "changes a table of the ledger"),
        (foreign_writes, "warehouse/setup", "def f(t): t.object_ledger.delete()", "changes a table of the ledger"),
        (foreign_writes, "pipeline/load", "def f(loads): loads.insert()", "changes a table of the ledger"),
        (foreign_writes, "queries/status", "X = 'ALTER TABLE rooms ADD x int'", "changes a table"),
        (foreign_writes, "queries/status", "X = 'truncate chat_messages'", "queries/status"),
        (foreign_writes, "queries/status", "X = 'DELETE FROM chat_messages'", "changes a table"),
        (hidden_imports, "pipeline/load", "def f():\n    from roomledger import times", "inside a function"),
        (long_or_vague, "stores/folder", "#\n" * 350, "stores/folder has"),
        (long_or_vague, "stores/utils", "X = 1", "stores/utils says nothing"),
        (long_or_vague, "stores/aws_utils", "X = 1", "stores/aws_utils says nothing"),
        (wrong_direction, "bi/charts", "from roomledger.pipeline import load", "bi/charts imports pipeline/load"),
    ],
)
def test_a_violation_is_found(
    tmp_path: Path, rule: Callable[[Path], list[str]], module: str, line: str, found: str
) -> None:
    copy = tmp_path / "roomledger"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / module).parent.mkdir(exist_ok=True)
    with (copy / f"{module}.py").open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    assert any(found in violation for violation in rule(copy)), rule(copy)
