"""A small installation with the names that the documents use: a bucket, a workspace, a queue and an inbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from roomledger.runtime import open_inbox
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api import vendor_server
from sandbox.servers.s3 import S3Server
from tests.docs.commands import run
from tests.provisioning.gcp_server import google_cloud

BUCKET, PREFIX, QUEUE = "acme-recordings", "live/eu", "roomledger-acme-eu"
SESSION, USER, MESSAGE = "66be3a4e91c2d3e4f5061728", "u-1001", "6d85d5c9-c034-4981-9dd7-2f1e5a3b7c90"
FOLDER = f"{PREFIX}/chat/room1/20260302"
GOOD, BAD = f"{FOLDER}/Rec-room1-1772445660000.csv", f"{FOLDER}/Rec-room1-1772445720000.csv"
CHAT = f"""SenderPeerID,SenderName,SenderUserID,Roles,SentAt,Type,Message,MessageID
p-1,Nell,{USER},[],2026-03-02T10:03:00Z,chat,I want a refund,{MESSAGE}
p-1,Nell,{USER},[],2026-03-02T10:04:00Z,chat,please,{MESSAGE[:-1]}1
"""


def workspace() -> Workspace:
    """A workspace with one session, whose chat and transcript were planned; only the chat was uploaded."""
    start, end = "2026-03-02T10:00:00Z", "2026-03-02T10:31:00Z"
    place = {"room_id": "room1", "session_id": SESSION}
    peer = {"id": "p-1", "session_id": SESSION, "name": "Nell", "role": "host", "user_id": USER}
    session = {"id": SESSION, "room_id": "room1", "active": False, "created_at": start, "updated_at": end}
    session["peers"] = {"p-1": peer | {"joined_at": start, "left_at": end}}
    job = {"id": "j1", "status": "completed", "asset_types": ["chat", "transcript"], **place}
    job |= {"created_at": start, "started_at": start, "stopped_at": end, "updated_at": end}
    chat = {"id": "a1", "job_id": "j1", "type": "chat", "path": f"s3://{BUCKET}/{GOOD}", "size": len(CHAT), **place}
    return Workspace(
        name="acme",
        source="acme-100ms",
        customer="Acme",
        access_key="key",
        secret="s" * 40,
        rooms=[{"id": "room1", "name": "harbour", "enabled": True, "created_at": start}],
        sessions=[session],
        recordings=[job],
        assets=[chat | {"status": "completed", "created_at": end}],
    )


@pytest.fixture(scope="module")
def installation(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The settings of an installation that has loaded its bucket before its workspace, in the environment."""
    folder = tmp_path_factory.mktemp("installation")
    clients = [
        boto3.client(
            service, region_name=s3.region, endpoint_url=s3.endpoint, aws_access_key_id=s3.access_key,
            aws_secret_access_key=s3.secret_key,
        )
        for service in ("s3", "sqs")
    ]  # fmt: skip
    clients[0].create_bucket(Bucket=BUCKET)
    clients[0].put_object(Bucket=BUCKET, Key=GOOD, Body=CHAT.encode())
    clients[0].put_object(Bucket=BUCKET, Key=BAD, Body=b"SenderName\nNell\n")
    clients[1].create_queue(QueueName=QUEUE)
    event = {
        "id": "e1",
        "type": "session.open.success",
        "timestamp": "2026-03-02T10:00:00Z",
        "data": {"session_id": "s9"},
    }
    open_inbox(f"file://{folder}/inbox").put("acme-100ms", json.dumps(event).encode(), datetime.now(UTC))
    acme = workspace()
    with vendor_server([acme]) as vendor, pytest.MonkeyPatch.context() as environment:
        config = folder / "roomledger.toml"
        config.write_text(
            f'[warehouse]\nurl = "duckdb:///warehouse.duckdb"\n[webhooks]\ninbox = "file://{folder}/inbox"\n'
            f'[[source]]\nname = "acme-eu"\ncustomer = "Acme"\nurl = "s3://{BUCKET}/{PREFIX}"\n'
            f'endpoint = "{s3.endpoint}"\nregion = "{s3.region}"\n'
            f'[[source]]\nname = "acme-100ms"\ncustomer = "Acme"\nurl = "100ms://acme"\n'
            f'endpoint = "{vendor.endpoint}"\nwebhook_header = "X-Acme-Secret"\n'
            f'[[queue]]\nname = "new-recordings"\nurl = "sqs://{QUEUE}"\n'
            f'endpoint = "{s3.endpoint}"\nregion = "{s3.region}"\n'
        )
        for name, value in {
            "ROOMLEDGER_CONFIG": str(config),
            "ROOMLEDGER_ACCESS_KEY_ACME": acme.access_key,
            "ROOMLEDGER_APP_SECRET_ACME": acme.secret,
            "AWS_ACCESS_KEY_ID": s3.access_key,
            "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        }.items():
            environment.setenv(name, value)
        assert [run(["init"]), run(["run", "--source", "acme-eu"]), run(["run"])] == [0, 0, 0]
        yield config


@pytest.fixture(scope="module")
def google_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of an installation with a GCS bucket, whose settings have no queue yet."""
    with google_cloud() as cloud:
        cloud.new_bucket("acme-recordings-us")
        config = tmp_path_factory.mktemp("google") / "roomledger.toml"
        config.write_text(
            '[warehouse]\nurl = "duckdb:///warehouse.duckdb"\n[[source]]\nname = "acme-us"\ncustomer = "Acme"\n'
            f'url = "gs://acme-recordings-us/live"\nendpoint = "{cloud.endpoint}"\n'
        )
        yield {
            "ROOMLEDGER_CONFIG": str(config),
            "PUBSUB_EMULATOR_HOST": cloud.pubsub.removeprefix("http://"),
        }
