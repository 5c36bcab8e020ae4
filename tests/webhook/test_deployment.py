"""The endpoint in containers: all Airflow services share one inbox, only the API server gets the secrets."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE_TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
SERVICES = yaml.safe_load(COMPOSE_TEXT)["services"]
AIRFLOW = {name: service for name, service in SERVICES.items() if "build" in service}


def test_all_airflow_services_share_one_inbox() -> None:
    mounts = {name: [mount for mount in service["volumes"] if "inbox" in mount] for name, service in AIRFLOW.items()}
    assert "api-server" in mounts
    assert set(map(tuple, mounts.values())) == {("webhook-inbox:/opt/airflow/inbox",)}
    assert 'inbox = "file:///opt/airflow/inbox"' in COMPOSE_TEXT


def test_the_image_creates_the_inbox_folder_as_the_airflow_user() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    user, created = dockerfile.index("USER airflow"), dockerfile.index("RUN mkdir --mode=0775 /opt/airflow/inbox\n")
    assert user < created


def test_only_the_api_server_has_the_secrets() -> None:
    files = {name: [file["path"] for file in service["env_file"]] for name, service in AIRFLOW.items()}
    assert files.pop("api-server") == ["connections.env", "webhooks.env"]
    assert set(map(tuple, files.values())) == {("connections.env",)}
    assert all(not file["required"] for service in AIRFLOW.values() for file in service["env_file"])
