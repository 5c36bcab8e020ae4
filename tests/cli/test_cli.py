"""The command line as a user runs it: real processes, their output and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roomledger import settings
from roomledger.runtime import open_database, open_inbox
from roomledger.warehouse import setup
from sandbox.hundredms_api import vendor_server
from sandbox.servers.s3 import S3Server
from tests import payloads, rows
from tests.cli.program import COMMAND, roomledger, run_json
from tests.folders import chat, chat_key, put


def test_the_first_steps_of_a_new_user(config: Path) -> None:
    bucket = config.parent / "bucket"
    uri = put(bucket, chat_key(1), chat("hello", "=1+1"))
    bad = put(bucket, chat_key(2), b"SenderName\nNell\n")
    put(bucket, "README.md", b"# not ours")

    first = roomledger("check", config=config)
    assert (first.returncode, "roomledger init" in first.stdout) == (2, True)
    assert roomledger("init", config=config).returncode == 0
    assert roomledger("check", config=config).returncode == 0
    done = run_json("run", config=config)
    assert done == [
        {"restored": 0, "missing": 0, "new_ignored": 1, "new_seen": 2, "new_superseded": 0, "vendor_records": 0,
         "rekeyed": 0, "records_refused": 0, "requests": 0, "loads": 1, "objects": 2, "objects_loaded": 1,
         "objects_refused": 1, "rows_loaded": 2, "rows_refused": 0, "rows_duplicate": 0}
    ]  # fmt: skip
    assert run_json("sql", "SELECT message FROM chat_messages ORDER BY ordinal", config=config) == [
        {"message": "hello"},
        {"message": "=1+1"},
    ]
    status = run_json("status", config=config)
    assert [(row["disposition"], row["versions"]) for row in status["objects"]] == [
        ("loaded", 1),
        ("refused", 1),
        ("ignored", 1),
    ]
    assert [(row["reason_code"], row["example"]) for row in status["refusals"]] == [("missing_column", bad)]
    where = run_json("where", uri, config=config)
    assert where["versions"][0]["disposition"] == "loaded"
    assert {row["table_name"]: row["row_count"] for row in where["rows"]} == {"chat_messages": 2}
    assert "missing_column" in roomledger("where", bad, config=config).stdout

    assert [row["objects_refused"] for row in run_json("replay", config=config)] == [1]
    assert run_json("replay", "--queue-only", config=config) == [{"replayed": 1}]
    put(bucket, chat_key(2), chat("mended"), minute=9)
    assert [row["objects_loaded"] for row in run_json("run", config=config)] == [1]
    assert run_json("status", config=config)["refusals"] == []
    assert run_json("collect", config=config)[0]["new_seen"] == 0
    assert run_json("load", config=config)[0]["objects"] == 0
    for verb in ("status", "check"):
        readable = roomledger(verb, config=config)
        assert (readable.returncode, "Traceback" in readable.stderr) == (0, False)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["run", "--config", "/nowhere/roomledger.toml"], "there is no settings file at /nowhere/roomledger.toml"),
        (["run", "--source", "acne"], "no source is called acne: the settings name acme"),
        (["where", "s3://nobody/knows"], "s3://nobody/knows was never observed: check the address"),
        (["replay", "--uri", "s3://nobody/knows"], "has nothing to replay"),
        (["sql", "SELECT nonsense"], "the query cannot be run: "),
        (["sql", "DELETE FROM loads"], "only queries can be run"),
        (["load", "--batch", "0"], "--batch"),
        (["listen", "--once"], "has no [[queue]] and no [webhooks] inbox to listen to: add one, or use `roomledger"),
    ],
)
def test_a_users_mistake_exits_with_2_and_one_sentence(ready_config: Path, words: list[str], sentence: str) -> None:
    done = roomledger(*words, config=ready_config)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_without_tables_every_command_points_to_init(config: Path) -> None:
    for verb in ("collect", "load", "run", "status", "replay"):
        done = roomledger(verb, config=config)
        assert (done.returncode, "run `roomledger init`" in done.stderr) == (2, True), verb


def test_a_refused_batch_exits_with_1_and_the_remedy(ready_config: Path) -> None:
    for number in range(25):
        put(ready_config.parent / "bucket", chat_key(number), b"SenderName\nNell\n")
    done = roomledger("run", config=ready_config)
    assert (done.returncode, "--accept-refusals" in done.stderr) == (1, True)
    assert run_json("run", "--accept-refusals", config=ready_config)[0]["objects_refused"] == 25


def test_check_finds_every_mistake(tmp_path: Path, seaweedfs: S3Server) -> None:
    import boto3

    session = boto3.Session(seaweedfs.access_key, seaweedfs.secret_key, region_name="us-east-1")
    client = session.client("s3", endpoint_url=seaweedfs.endpoint)
    client.create_bucket(Bucket="checked")
    client.put_object(Bucket="checked", Key="full/a.csv", Body=b"x")
    client.close()
    sources = "".join(
        f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\nendpoint = "{seaweedfs.endpoint}"\n'
        for name, url in (
            ("good", "s3://checked/full"),
            ("empty", "s3://checked/nothing-here"),
            ("no-bucket", "s3://never-made"),
        )
    ) + (
        '[[source]]\nname = "no-folder"\ncustomer = "A"\nurl = "file:///never/made"\n'
    )  # fmt: skip
    config = tmp_path / "roomledger.toml"
    config.write_text(f'[warehouse]\nurl = "duckdb:///w.duckdb"\n{sources}')
    good = {"AWS_ACCESS_KEY_ID": seaweedfs.access_key, "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_key}
    assert roomledger("init", config=config).returncode == 0
    done = roomledger("check", "--json", config=config, **good)
    problems = {row["subject"]: row["problem"] for row in json.loads(done.stdout)}
    assert done.returncode == 2
    assert problems["warehouse"] is problems["refusals"] is None
    assert problems["source good"] is None
    assert "no objects under s3://checked/nothing-here" in problems["source empty"]
    assert "no bucket never-made" in problems["source no-bucket"]
    assert "/never/made" in problems["source no-folder"]

    wrong = roomledger("check", "--json", "--source", "good", config=config, **(good | {"AWS_SECRET_ACCESS_KEY": "no"}))
    assert "does not accept the credentials" in json.loads(wrong.stdout)[-1]["problem"]
    none = roomledger("check", "--json", "--source", "good", config=config)
    assert "no AWS credentials for s3://checked/full" in json.loads(none.stdout)[-1]["problem"]
    people = {"AWS_ACCESS_KEY_ID": "uploader", "AWS_SECRET_ACCESS_KEY": seaweedfs.others["uploader"]}
    denied = roomledger("check", "--json", "--source", "good", config=config, **people)
    assert "no permission to list s3://checked/full" in json.loads(denied.stdout)[-1]["problem"]


def test_rejected_records_are_counted_once(tmp_path: Path) -> None:
    job = payloads.job("j", "room1", "s1", 1, 30, "chat")
    stored = payloads.asset("good", job, "chat", "s3://vendor-held/Rec-room1-1772445700000.csv", 9)
    acme = payloads.workspace(recordings=[job], assets=[stored, stored | {"id": ""}, stored | {"id": "", "size": 1}])
    acme.contents["good"] = chat("hello")
    config = tmp_path / "roomledger.toml"
    keys = {"ROOMLEDGER_ACCESS_KEY_ACME": acme.access_key, "ROOMLEDGER_APP_SECRET_ACME": acme.secret}
    with vendor_server([acme]) as vendor:
        config.write_text(
            f'[warehouse]\nurl = "duckdb:///w.duckdb"\n[[source]]\nname = "talk"\ncustomer = "Acme"\n'
            f'url = "100ms://acme"\nendpoint = "{vendor.endpoint}"\n'
        )
        setup.upgrade(open_database(settings.read(config, {})))
        done = roomledger("run", "--json", config=config, **keys)  # syncs twice: before and after the load
    [ran] = json.loads(done.stdout)
    assert (ran["records_refused"], ran["objects_refused"], ran["objects_loaded"]) == (2, 0, 1)


def test_status_shows_the_total_of_a_shortened_list(ready_config: Path) -> None:
    with open_database(settings.read(ready_config, {})).begin() as tx:
        now = datetime.now(UTC)
        for number in range(21):
            rows.put(tx, "asset_records", asset_id=f"a{number}", uri=f"s3://stored/{number}", created_at=now)
        rows.put_object(tx, "o", disposition="seen", retry_at=rows.NOON)
    shown = roomledger("status", config=ready_config).stdout
    assert "Assets stored by 100ms only: the 20 soonest of 21\n" in shown
    assert "Retries" in shown


@pytest.fixture
def listening(config: Path) -> Path:
    """Settings with an inbox, and a workspace that only sends webhooks."""
    config.write_text(
        f'{config.read_text()}[webhooks]\ninbox = "file://{config.parent}/inbox"\n[[source]]\nname = "talk"\n'
        'customer = "Acme"\nurl = "100ms://acme"\napi = false\nwebhook_header = "X-Secret"\n'
    )
    setup.upgrade(open_database(settings.read(config, {})))
    return config


def notify(config: Path, event_id: str, **data: str) -> None:
    """Put a webhook into the inbox."""
    body = {"id": event_id, "type": "beam.recording.success", "data": {"session_id": "s1"} | data}
    open_inbox(f"file://{config.parent}/inbox").put("talk", json.dumps(body).encode(), datetime.now(UTC))


def test_listen_once_ingests_the_pending_messages_and_loads_the_objects(listening: Path) -> None:
    notify(listening, "e1", chat_recording_path=put(listening.parent / "bucket", chat_key(), chat("hello", "there")))
    done = roomledger("listen", "--once", "--json", config=listening)
    assert (done.returncode, done.stderr) == (0, "")
    ingested, loaded = (json.loads(line) for line in done.stdout.splitlines())
    assert datetime.fromisoformat(ingested.pop("at")) <= datetime.fromisoformat(loaded.pop("at"))
    assert ingested == {
        "did": "ingested", "messages": 1, "events": 1, "rekeyed": 0, "new_seen": 1, "missing": 0, "foreign": 0,
        "messages_refused": 0, "messages_left": 0, "problems": [],
    }  # fmt: skip
    assert loaded == {
        "did": "loaded", "loads": 1, "objects": 1, "objects_loaded": 1, "objects_retried": 0, "rows_loaded": 2,
        "rows_refused": 0, "rows_duplicate": 0,
    }  # fmt: skip
    assert run_json("sql", "SELECT DISTINCT session_id FROM chat_messages", config=listening) == [{"session_id": "s1"}]
    assert run_json("run", config=listening)[0]["objects"] == 0, "a workspace that only sends webhooks is not polled"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_listen_runs_until_a_signal(listening: Path, number: signal.Signals) -> None:
    command = [*COMMAND, "listen"]
    environ = os.environ | {"ROOMLEDGER_CONFIG": str(listening)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "Listening to webhooks; stop with Ctrl-C\n"
            for event in (1, 2):
                uri = put(listening.parent / "bucket", chat_key(event), chat("hello"))
                notify(listening, f"e{event}", chat_recording_path=uri)
                assert "Z ingested: messages 1, events 1, new seen 1" in process.stdout.readline()
                assert "Z loaded: loads 1, objects 1, objects loaded 1, rows loaded 1" in process.stdout.readline()
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "")
    assert err == "Stopping after this round; press Ctrl-C again to stop at once\n"


def test_listen_reports_a_problem_once_and_serves_the_other_queues(listening: Path, s3: S3Server) -> None:
    listening.write_text(
        f'{listening.read_text()}[[queue]]\nname = "uploads"\nurl = "sqs://never-made"\nendpoint = "{s3.endpoint}"\n'
    )
    notify(listening, "e1")
    keys = {
        "AWS_ACCESS_KEY_ID": s3.access_key, "AWS_SECRET_ACCESS_KEY": s3.secret_key, "AWS_DEFAULT_REGION": s3.region
    }  # fmt: skip
    done = roomledger("listen", "--once", config=listening, **keys)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "has no queue sqs://never-made" in done.stderr
    assert "ingested: messages 1, events 1" in done.stdout
    nobody = roomledger("listen", "--once", config=listening)
    assert (nobody.returncode, "no AWS credentials for sqs://never-made" in nobody.stderr) == (2, True)
