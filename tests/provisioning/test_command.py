"""`roomledger notifications` as a process: its output and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from roomledger import settings
from roomledger.cli.main import app
from sandbox.servers.process_group import free_ports
from tests.provisioning.conftest import Account
from tests.provisioning.gcp_server import AGENT, GoogleCloud

Write = Callable[[str], Path]
ACME = (
    '[[source]]\nname = "acme-eu"\ncustomer = "Acme"\nurl = "s3://acme-recordings/live/eu"\n'
    '[[source]]\nname = "acme-us"\ncustomer = "Acme"\nurl = "gs://acme-recordings-us/live"\n'
)


def run(*words: str, config: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"ROOMLEDGER_CONFIG": str(config)} if config else {}
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "from roomledger.cli.main import app; app()",
        "notifications",
        *words,
    ]
    return subprocess.run(
        command, env=os.environ | environment | environ, capture_output=True, text=True, check=False, timeout=120
    )


def examples(cloud: str) -> tuple[str, list[list[str]]]:
    """The help text of a command and the arguments of its examples."""
    shown = run(cloud, "--help", COLUMNS="200", NO_COLOR="1")
    assert shown.returncode == 0
    found = re.findall(r"^ *roomledger notifications (.+?) *$", shown.stdout, re.M)
    return shown.stdout, [shlex.split(example) for example in found]


def test_the_examples_of_the_s3_help_run_as_written(aws: Account, write: Write) -> None:
    text, (print_only, apply) = examples("s3")
    bucket = aws.new_bucket()
    url = f's3://{bucket}/live/eu"\nendpoint = "{aws.endpoint}'
    config = write(ACME.replace("s3://acme-recordings/live/eu", url))
    printed = run(*print_only, config=config, **aws.environ())
    assert (printed.returncode, printed.stderr) == (0, "")
    document = json.loads(printed.stdout)
    for key in (*document, "topic_policy", "rules"):
        assert f" {key}" in text.replace(",", " ")
    assert apply == [*print_only, "--apply"]
    assert run(*apply, config=config, **aws.environ()).returncode == 0


def test_the_examples_of_the_gcs_help_run_as_written(google: GoogleCloud, write: Write) -> None:
    text, (print_only, apply) = examples("gcs")
    google.new_bucket("acme-recordings-us")
    config = write(ACME + f'endpoint = "{google.endpoint}"\n')
    emulator = {"PUBSUB_EMULATOR_HOST": google.pubsub.removeprefix("http://")}
    printed = run(*print_only, config=config, **emulator)
    assert (printed.returncode, printed.stderr) == (0, "")
    for key in json.loads(printed.stdout):
        assert f" {key}" in text.replace(",", " ")
    assert apply == [*print_only, "--apply"]
    assert run(*apply, config=config, **emulator).returncode == 0


def test_account_and_region_of_the_settings_need_no_credentials(write: Write) -> None:
    queue = '[[queue]]\nname = "q"\nurl = "sqs://123456789012/events"\nregion = "cn-north-1"\n'
    done = run("s3", "acme-eu", config=write(ACME + queue))
    assert (done.returncode, done.stderr) == (0, "")
    printed = json.loads(done.stdout)
    assert printed.keys() == {"queue", "queue_policy", "notifications", "reader_policy", "settings", "notes"}
    assert printed["queue"] == {
        "name": "events",
        "arn": "arn:aws-cn:sqs:cn-north-1:123456789012:events",
        "attributes": {
            "ReceiveMessageWaitTimeSeconds": "20",
            "VisibilityTimeout": "120",
            "MessageRetentionPeriod": "1209600",
        },
    }
    [sender] = printed["queue_policy"]["Statement"]
    assert sender["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws-cn:s3:::acme-recordings"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert printed["notifications"]["acme-recordings"]["QueueConfigurations"][0]["Events"] == [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
    ]
    assert printed["settings"] == queue
    assert any("no dead-letter queue on purpose" in note for note in printed["notes"])


@pytest.mark.parametrize(
    ("via", "keys"), [("sns", {"topic", "topic_policy", "subscription"}), ("eventbridge", {"rules"})]
)
def test_other_paths_have_additional_keys(write: Write, via: str, keys: set[str]) -> None:
    queue = '[[queue]]\nname = "q"\nurl = "sqs://123456789012/events"\nregion = "eu-west-1"\n'
    printed = json.loads(
        CliRunner().invoke(app, ["notifications", "s3", "acme-eu", "--via", via, "-c", str(write(ACME + queue))]).stdout
    )
    assert keys <= printed.keys()
    if via == "eventbridge":
        [rule] = printed["rules"]
        assert rule["event_pattern"]["detail"]["object"] == {"key": [{"prefix": "live/eu/"}]}
        assert printed["notifications"] == {"acme-recordings": {"EventBridgeConfiguration": {}}}


def test_s3_apply_changes_once_and_reports_what_remains(aws: Account, write: Write) -> None:
    bucket = aws.new_bucket()
    tables = f'[[source]]\nname = "set"\ncustomer = "A"\nurl = "s3://{bucket}/a"\nendpoint = "{aws.endpoint}"\n'
    config = write(tables)
    printed = json.loads(run("s3", "set", config=config, **aws.environ()).stdout)
    assert printed["queue"]["arn"] == "arn:aws:sqs:us-east-1:000000000000:roomledger-set"
    first = run("s3", "set", "--apply", config=config, **aws.environ())
    assert (first.returncode, first.stderr) == (0, "")
    assert [line.split()[0] for line in first.stdout.splitlines()[:2]] == ["changed", "changed"]
    assert "Changes: 2." in first.stdout
    assert printed["settings"] in first.stdout
    assert "use --reader" in first.stdout
    with config.open("a") as file:
        file.write(printed["settings"])
    arn, _ = aws.new_user("set-reader")
    again = run("s3", "set", "--apply", "--reader", arn, config=config, **aws.environ())
    assert "changed    user set-reader" in again.stdout
    last = run("s3", "set", "--apply", "--reader", arn, config=config, **aws.environ())
    assert last.stdout.splitlines()[-1] == "Everything was configured already."
    assert all(line.startswith("unchanged  ") for line in last.stdout.splitlines()[:-1])


def test_gcs_apply_changes_once_and_reports_what_remains(google: GoogleCloud, write: Write) -> None:
    google.new_bucket("b")
    config = write(f'[[source]]\nname = "set"\ncustomer = "A"\nurl = "gs://b/a"\nendpoint = "{google.endpoint}"\n')
    words = ("gcs", "set", "--project", "acme-prod")
    emulator = {"PUBSUB_EMULATOR_HOST": google.pubsub.removeprefix("http://")}
    printed = json.loads(run(*words, config=config, **emulator).stdout)
    assert printed["grants"][0]["member"] == f"serviceAccount:{AGENT}"
    assert printed["grants"][1]["member"] is None
    assert any("--reader" in note for note in printed["notes"])
    first = run(*words, "--apply", config=config, **emulator)
    assert (first.returncode, first.stderr) == (0, "")
    assert "Changes: 4." in first.stdout
    assert printed["settings"] in first.stdout
    [created] = google.buckets["b"]["notifications"]
    assert {key: created[key] for key in created if key != "id"} == printed["notifications"]["b"][0]
    last = run(*words, "--apply", config=config, **emulator)
    assert "Everything was configured already." in last.stdout
    with config.open("a") as file:
        file.write(printed["settings"])
    assert settings.read(config, {}).queues[0].url == "pubsub://acme-prod/roomledger-set"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("s3 nobody", "no source is called nobody"),
        ("s3 acme-us", "use roomledger notifications gcs acme-us"),
        ("s3 acme-eu", "no AWS credentials were found"),
        ("s3 acme-eu --profile nobody", "nobody"),
        ("s3 acme-eu --topic t", "--topic requires --via sns"),
        ("gcs acme-us", "no Google credentials were found"),
        ("gcs acme-us --project p --reader me@x", "serviceAccount:me@x"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(write: Write, words: str, message: str) -> None:
    done = CliRunner().invoke(app, ["notifications", *words.split(), "--config", str(write(ACME))])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_cloud_without_a_response_is_a_failure(write: Write) -> None:
    (port,) = free_ports(1)
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    tables = f'[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b"\nendpoint = "http://127.0.0.1:{port}"\n'
    done = run("s3", "a", config=write(tables), **keys)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no valid response from AWS" in done.stderr
