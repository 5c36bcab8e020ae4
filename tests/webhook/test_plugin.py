"""The plugin: cheap to import in every Airflow process, and mounted by a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from roomledger.runtime import open_inbox
from sandbox.servers.process_group import HOST, free_ports, running
from tests.webhook.conftest import SECRETS, settings_text

ROOT = Path(__file__).parents[2]
START_SECONDS = 120


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONPATH": str(ROOT / "include"),
        "ROOMLEDGER_CONFIG": str(tmp_path / "roomledger.toml"),
    }


MEASURE_IMPORT = """
import json, sys, time
import airflow.sdk
from airflow.plugins_manager import AirflowPlugin  # imports of Airflow itself
before, start = set(sys.modules), time.perf_counter()
sys.path.insert(0, sys.argv[1])
import roomledger_plugin
duration = time.perf_counter() - start
print("FOUND" + json.dumps({"modules": sorted(set(sys.modules) - before), "seconds": duration}))
"""


def test_importing_the_plugin_is_fast_and_imports_nothing_else(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE_IMPORT, ROOT / "plugins"],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.split("FOUND")[1])
    assert found["modules"] == ["roomledger_plugin"]
    assert found["seconds"] < 0.1


def test_airflow_serves_the_endpoint(environment: dict[str, str], tmp_path: Path) -> None:
    inbox = f"file://{tmp_path}/inbox"
    (port,) = free_ports(1)
    environment |= SECRETS | {
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=os.environ | environment,
        check=True,
        capture_output=True,
    )
    url = f"http://{HOST}:{port}"
    with (
        running([sys.executable, "-m", "airflow", "api-server"], tmp_path / "server", environment) as process,
        httpx.Client(base_url=url, timeout=30) as client,
    ):
        log = tmp_path / "server" / "server.log"
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                client.get("/api/v2/version").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)

        def post(source: str = "talk", secret: str = "new-secret-of-talk", content: bytes = b'{"id": "e1"}') -> int:
            headers = {"X-Talk-Secret": secret}
            return client.post(f"/roomledger/webhooks/{source}", content=content, headers=headers).status_code

        assert post() == 503  # no settings file yet, but the server runs
        (tmp_path / "roomledger.toml").write_text(settings_text(inbox))
        assert [post(), post(secret="wrong"), post("nobody")] == [200, 401, 404]
        assert client.get("/roomledger/webhooks/talk").status_code == 405
        token = client.get("/auth/token").json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/v2/plugins/importErrors", headers=bearer).json()["import_errors"] == []
        assert "roomledger" in {
            each["name"] for each in client.get("/api/v2/plugins", headers=bearer).json()["plugins"]
        }
        assert client.get("/api/v2/monitor/health").status_code == 200
    [event] = open_inbox(inbox).receive(0)
    assert (json.loads(event.body), event.attributes["source"]) == ({"id": "e1"}, "talk")
    output = log.read_text("utf-8", "replace")
    assert "new-secret-of-talk" not in output
    assert "until the settings are fixed: there is no settings file" in output
