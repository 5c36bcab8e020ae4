"""The files of the container deployment: valid, complete, without secrets, and consistent with the code."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
ONE_SHOT = {name for name, service in SERVICES.items() if service["restart"] == "no"}
DOCKERFILE = [line.split() for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if line]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXAMPLE = dict(
    line.split("=", 1) for line in (ROOT / ".env.example").read_text("utf-8").splitlines() if line and line[0] != "#"
)
SECRET = re.compile(r"(PASSWORD|SECRET|KEY)$")

# `$$` is a dollar sign for the container's own shell; ${NAME}, ${NAME:-default} and ${NAME:?error} are Compose's.
VARIABLES = [
    found.groups()
    for found in re.finditer(r"\$\$|\$\{(\w+)(?:(:[-?])([^}]*))?\}", COMPOSE_TEXT)
    if found.group() != "$$"
]


def test_the_compose_file_follows_the_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, ROOT / "docker-compose.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_redis_and_the_worker_need_the_celery_profile() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert profiles == {"redis": ["celery"], "worker": ["celery"]}


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOT))
def test_a_long_running_service_has_a_health_check(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - {"postgres", "redis"}))
def test_a_service_waits_until_its_dependencies_are_ready(name: str) -> None:
    for needed, how in SERVICES[name]["depends_on"].items():
        ready = "service_completed_successfully" if needed in ONE_SHOT else "service_healthy"
        assert how["condition"] == ready
        optional = "profiles" in SERVICES[needed] and "profiles" not in SERVICES[name]
        assert how.get("required", True) is not optional


def test_images_are_pinned() -> None:
    images = {service["image"] for service in SERVICES.values()}
    assert f"roomledger:{PROJECT['version']}" in images
    for image in images | {words[1] for words in DOCKERFILE if words[0] == "FROM"}:
        assert re.search(r":\d+\.?\d*", image), f"{image} names no version"


def test_the_example_names_every_variable_without_a_value() -> None:
    assert EXAMPLE.keys() - {"COMPOSE_PROFILES"} == {name for name, _, _ in VARIABLES}  # Compose itself reads this one
    assert not any(EXAMPLE.values())


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLE if SECRET.search(name)))
def test_a_secret_has_no_default(name: str) -> None:
    uses = {(operator, text) for used, operator, text in VARIABLES if used == name}
    if name == "REDIS_PASSWORD":  # Compose reads the whole file: `:?` would require it without the profile, too
        assert uses == {(":-", "")}
    else:
        assert uses == {(":?", "set it in .env")}


def test_redis_does_not_start_without_a_password() -> None:
    shell, flags, script = SERVICES["redis"]["command"]
    environment = {"PATH": os.environ["PATH"], "REDISCLI_AUTH": ""}
    done = subprocess.run([shell, flags, script.replace("$$", "$")], env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "set REDIS_PASSWORD in .env" in done.stderr


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_secret_setting_comes_from_the_environment(name: str) -> None:
    for setting, value in SERVICES[name].get("environment", {}).items():
        if SECRET.search(setting) or setting == "REDISCLI_AUTH":
            assert re.fullmatch(r"\$\{\w+:[-?][^}]*\}", value), setting
        if account := re.search(r"://([^/]*)@", value):
            assert re.fullmatch(r"\w*:\$\{\w+:[-?][^}]*\}", account[1]), setting


LITERAL_SECRET = re.compile(
    r"://[\w.-]*:(?![A-Z_]+@)[^@\s/:${}<>…]+@"  # a password in a URL, except a PLACEHOLDER
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|^\s*[\w.-]*(password|passwd|secret|secret_key|access_key|fernet_key|token)[\"']?\s*[:=]\s*[\"'][^\"'$<{]+[\"']\s*$",
    re.IGNORECASE | re.MULTILINE,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("url = 'postgresql+psycopg://roomledger:hunter2@db/roomledger'", True),
        ("url = 'postgresql+psycopg://roomledger:PASSWORD@db/roomledger'", False),
        ("redis://:${REDIS_PASSWORD:-}@redis:6379/0", False),
        ("http://api-server:8080/execution/", False),
        ("  POSTGRES_PASSWORD: 'airflow'", True),
        ("POSTGRES_PASSWORD=", False),
        ("aws_access_key_id = AKIAABCDEFGHIJKLMNOP", True),
    ],
)
def test_a_literal_secret_is_distinguished_from_a_placeholder(text: str, found: bool) -> None:
    assert bool(LITERAL_SECRET.search(text)) is found


def test_no_shipped_file_has_a_secret() -> None:
    shipped = [path for path in ROOT.iterdir() if path.is_file() and path.name not in (".env", "connections.env")]
    for folder in ("dags", "deploy", "docs", "include", "plugins"):
        shipped += [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert ROOT / "deploy/databases.sql" in shipped
    for path in shipped:
        found = LITERAL_SECRET.search(path.read_text("utf-8", "replace"))
        assert found is None, f"{path.relative_to(ROOT)}: {found[0] if found else ''}"


def test_bind_mounts_are_shipped_or_explained_and_read_only() -> None:
    header = COMPOSE_TEXT.split("\nname:")[0]
    for service in SERVICES.values():
        for mount in service["volumes"]:
            if isinstance(mount, dict):
                source = mount["source"].removeprefix("./")
                assert (ROOT / source).is_file() or f"#   {source} " in header
                assert mount["read_only"]
                assert mount["bind"] == {"create_host_path": False}
            else:
                assert mount.split(":")[0] in COMPOSE["volumes"]


def test_the_image_is_built_from_existing_files() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = [word for words in DOCKERFILE if words[0] == "COPY" for word in words[1:-1] if word[:2] != "--"]
    assert sorted(copied) == sorted(sent)
    assert {path for path in copied if not (ROOT / path).exists()} == set()


def test_the_image_has_the_pinned_airflow() -> None:
    requirements = (ROOT / "requirements.txt").read_text("utf-8")
    pins = dict(re.findall(r"^([a-z0-9-]+)(?:\[.*\])?==([^\s;]+)", requirements, re.MULTILINE))
    assert ["FROM", f"apache/airflow:{pins['apache-airflow']}-python3.11"] in DOCKERFILE
    assert f"apache-airflow=={pins['apache-airflow']}" in PROJECT["optional-dependencies"]["airflow"]
    # `uv pip sync` removes packages without a pin from the image.
    assert pins.keys() >= {"apache-airflow-providers-celery", "celery", "psycopg", "psycopg-binary", "redis"}


def test_nothing_runs_as_root() -> None:
    assert [words[1] for words in DOCKERFILE if words[0] == "USER"] == ["airflow"]
    assert not any("user" in service or "privileged" in service for service in SERVICES.values())


def test_the_pinned_celery_is_compatible_with_the_pinned_provider(tmp_path: Path) -> None:
    # Celery 5.7 dropped a name that provider 3.26 imports: only the import shows such a mismatch.
    program = "from airflow.providers.celery.executors.celery_executor import app"
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_init_creates_the_pools_that_the_dags_use() -> None:
    used = {
        keyword.value.value
        for path in (ROOT / "dags").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "pool" and isinstance(keyword.value, ast.Constant)
    }
    assert set(re.findall(r"^airflow pools set (\S+)", SERVICES["init"]["command"][2], re.MULTILINE)) == used
