"""The documents agree with the code: examples parse, and what they name exists."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import hcl2
import pytest

from roomledger import settings
from roomledger.settings import queues, sources
from sandbox.dataset import generate
from tests.docs.markdown import DOCUMENTS, LANGUAGES, PACKAGE, ROOT, Block, blocks, commands, prose, quoted

ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text()
ROOMS = re.findall(r"^  ([\w]+)/ ", ARCHITECTURE, re.M)
YOURS = {"roomledger.toml", "connections.env", "webhooks.env", ".env"}
"""Files that users write."""
NOT_RUN = {
    "pip install": "it would change the environment of the tests: its extras are looked up in pyproject.toml",
    "airflow": "it needs a running installation of Airflow: its parser reads the command",
    "docker compose": "it needs Docker: tests/deploy covers the files",
    "gcloud": "it needs a Google Cloud account: its role is that of the plan",
    "make": "each would install, run everything or take minutes: the targets exist",
    ".venv/bin/python -m pytest": "the tests run already: the file exists",
}
"""Commands that no test runs, and why; test_commands.py runs the others."""


def named(block: Block) -> str:
    return f"{block.document.name}-{block.content.split()[0]}"


def test_every_block_has_a_language_and_none_is_indented() -> None:
    assert {block.language for block in blocks()} <= LANGUAGES
    indented = [line for document in DOCUMENTS for line in re.findall(r"\n\n    (.*)", prose(document))]
    assert indented == []


def test_the_documents_stay_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 170
    assert len(_table(ARCHITECTURE, "Glossary")) <= 25


@pytest.mark.parametrize("document", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        linked = document.parent / name if name else document
        assert linked.exists(), target
        if anchor:
            assert anchor in _anchors(linked.read_text()), target


def _anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_exists_and_defines_what_is_named_beside_it(document: Path) -> None:
    text = prose(document)
    for path in filter(_is_path, quoted(text)):
        assert _found(path), path
    for path, name in re.findall(r"`([\w/]+\.py)`:? `([\w.]+)`", text):
        assert _defines(_found(path), name), f"{path} {name}"


def _is_path(code: str) -> bool:
    return bool(re.fullmatch(r"[\w./-]+(\.(py|sql|md|toml|yaml|env)|/)", code)) and code not in YOURS


def _found(path: str) -> Path | None:
    """A path of the repository, of the package or of one of its rooms."""
    places = [ROOT / path, PACKAGE / path, *PACKAGE.glob(f"*/{path}")]
    return next((place for place in places if place.exists()), None)


def _defines(module: Path | None, name: str) -> bool:
    """Whether a module defines or assigns this name, such as `function` or `Class.method`."""
    assert module is not None
    body = ast.parse(module.read_text()).body
    for part in name.split("."):
        found = [node for node in body if part in _names(node)]
        if not found:
            return False
        body = getattr(found[0], "body", [])
    return True


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {target.id for target in targets if isinstance(target, ast.Name)}
    return {getattr(node, "name", "")}


def test_contributing_uses_only_names_of_the_code() -> None:
    files = [path for folder in ("include", "tests", "sandbox") for path in (ROOT / folder).rglob("*.py")]
    words = set(re.findall(r"\w+", " ".join(path.read_text() for path in files)))
    for code in quoted(prose(ROOT / "CONTRIBUTING.md")):
        if re.fullmatch(r"\w+(\.\w+)*(\(.*\))?", code) and not _is_path(code):
            assert set(re.findall(r"\w+", code)) <= words, code


@pytest.mark.parametrize("number", [1, 2])
def test_a_walk_has_at_most_14_modules_and_none_twice(number: int) -> None:
    walk = _section(f"Walk {number}")
    steps = re.findall(r"^(\d+)\. `([\w/]+\.py)`(?: `([\w.]+)`)?: \S.*$", walk, re.M)
    assert [int(step) for step, _, _ in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == len(re.findall(r"^\d+\.", walk, re.M)) <= 14
    modules = [_found(path) for _, path, _ in steps]
    assert len({*modules} - {None}) == len(steps)
    views = re.findall(r"`(warehouse/views/\w+\.sql)`", walk)
    assert [(PACKAGE / view).exists() for view in views] == [True]


def test_the_tree_has_every_module_of_the_package() -> None:
    [tree] = [block.content for block in blocks("text") if "include/roomledger/" in block.content]
    found, folders = [], [""]
    for line in tree.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders[depth:] = [name] if name.endswith("/") else []
        if name.endswith(".py"):
            found.append("".join(folders[1:depth]) + name)
    modules = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(found) == sorted(modules)


def test_the_diagram_allows_every_import_between_rooms() -> None:
    [diagram] = [block.content for block in blocks("mermaid") if "flowchart TD" in block.content]
    arrows: dict[str, set[str]] = {}
    for left, right in re.findall(r"^ *(\w+)(?:\[[^\]]*\])? --> (.+)$", diagram, re.M):
        arrows.setdefault(left, set()).update(re.findall(r"(\w+)(?:\[[^\]]*\])?", right))
    for room in ROOMS:
        reached, more = {room, "model", "times"}, {room}
        while more:
            more = {to for one in more for to in arrows.get(one, ())} - reached
            reached |= more
        assert set(_imports(room)) <= reached, room


def _imports(room: str) -> Iterator[str]:
    """The rooms and root modules that a room imports, anywhere in its modules."""
    for path in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("roomledger"):
                _, _, name = node.module.partition(".")
                yield from [name.split(".")[0]] if name else [alias.name for alias in node.names]


def test_the_tree_and_the_packages_have_the_same_rooms() -> None:
    assert sorted(ROOMS) == sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("block", blocks("toml"), ids=named)
def test_every_settings_example_is_valid(block: Block, tmp_path: Path) -> None:
    content = block.content
    if "[[source]]" not in content:
        content += '\n[[source]]\nname = "acme-eu"\ncustomer = "Acme"\nurl = "s3://acme-recordings/live/eu"\n'
    path = tmp_path / "roomledger.toml"
    path.write_text(content)
    settings.read(path, {} if "[warehouse]" in content else {"ROOMLEDGER_WAREHOUSE_URL": "duckdb:///w.duckdb"})


def test_every_setting_and_variable_is_described() -> None:
    keys = {*settings._WAREHOUSE_KEYS, *sources._KEYS, *sources._BUCKET_KEYS, *sources._WORKSPACE_KEYS, *queues._KEYS}
    assert keys | {"inbox"} <= set(re.findall(r"^\| `(\w+)` \|", CONFIGURATION, re.M))
    files = [*PACKAGE.rglob("*.py"), ROOT / "docker-compose.yaml"]
    used = set(re.findall(r"\bROOMLEDGER_[A-Z_]+", " ".join(path.read_text() for path in files)))
    described = set(re.findall(r"ROOMLEDGER_[A-Z_]+", CONFIGURATION))
    assert {name for name in used if not name.endswith("WEBHOOK_")} <= described


@pytest.mark.parametrize("block", blocks("json"), ids=named)
def test_every_policy_is_json(block: Block) -> None:
    assert json.loads(block.content)["Version"] == "2012-10-17"


@pytest.mark.parametrize("block", blocks("hcl"), ids=named)
def test_every_terraform_example_fits_its_module(block: Block) -> None:
    [module] = hcl2.loads(block.content)["module"][0].values()
    folder = ROOT / json.loads(module["source"])
    variables = {
        name: body for one in hcl2.loads((folder / "main.tf").read_text())["variable"] for name, body in one.items()
    }
    given = {f'"{name}"' for name in module} - {'"source"', '"__is_block__"'}
    assert {name for name, body in variables.items() if "default" not in body} <= given <= variables.keys()


def test_the_readme_shows_the_counts_of_the_demo() -> None:
    expected = generate().expected
    counts = {**expected.rows, **expected.refusals, **expected.evidence}
    shown = re.findall(r"^│ (\w+) +│ +([\d,]+) │$", (ROOT / "README.md").read_text(), re.M)
    assert len(shown) == 9
    assert {name: int(number.replace(",", "")) for name, number in shown} == {name: counts[name] for name, _ in shown}


def test_every_command_is_run_or_has_a_reason_not_to_be() -> None:
    makefile = (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for document, words in commands():
        line = " ".join(words)
        if words[0].rpartition("/")[2] == "roomledger":
            continue
        assert any(line.startswith(known) for known in NOT_RUN), f"{document.name}: {line}"
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:.*##", makefile, re.M), line
        elif words[0] == "pip":
            assert words[2] == "." or words[2][2:-1] in extras
        elif "pytest" in words:
            assert (ROOT / words[words.index("pytest") + 1]).exists()


def test_the_shell_can_read_every_command_block() -> None:
    script = "\n".join(block.content for block in blocks("sh"))
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_airflow_can_read_its_commands(tmp_path: Path) -> None:
    lines = [words[1:] for _, words in commands() if words[0] == "airflow"]
    assert len(lines) >= 3
    program = (
        "import json, sys\nfrom airflow.cli.cli_parser import get_parser\n"
        "for words in json.load(sys.stdin): get_parser().parse_args(words)\n"
    )
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(lines), env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def _section(title: str) -> str:
    return ARCHITECTURE.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0]


def _table(text: str, title: str) -> list[str]:
    """The rows of the table in a section."""
    rows = re.findall(r"^\|.*\|$", text.split(f"\n## {title}", 1)[1].split("\n## ", 1)[0], re.M)
    return rows[2:]
