"""`roomledger bell` as a user meets it: real processes, their output and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hcl2
import pytest
from typer.testing import CliRunner

from roomledger import settings
from roomledger.cli.notifications import app
from sandbox.servers.process_group import free_ports
from tests.provisioning.conftest import Account
from tests.provisioning.google_cloud import AGENT, GoogleCloud

Written = Callable[[str], Path]
ACME = (
    '[[source]]\nname = "acme-eu"\ncustomer = "Acme"\nurl = "s3://acme-recordings/live/eu"\n'
    '[[source]]\nname = "acme-us"\ncustomer = "Acme"\nurl = "gs://acme-recordings-us/live"\n'
)


def subscription(*words: str, config: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    given = {"ROOMLEDGER_CONFIG": str(config)} if config else {}
    command = [sys.executable, "-W", "error", "-c", "from roomledger.cli.notifications import app; app()", *words]
    return subprocess.run(
        command, env=os.environ | given | environ, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize("cloud", ["s3", "gcs"])
def test_help_teaches_and_its_first_example_runs_as_written(cloud: str, written: Written) -> None:
    shown = subscription(cloud, "--help", COLUMNS="200", NO_COLOR="1")
    assert shown.returncode == 0
    example, apply = re.findall(r"^ *roomledger bell (.+?) *$", shown.stdout, re.M)
    assert apply.endswith("--apply")
    words, _, _ = example.partition(">")
    done = subscription(*shlex.split(words), config=written(ACME))
    assert (done.returncode, done.stderr) == (0, "")
    assert hcl2.loads(done.stdout)["resource"]
    for key in ("notifications", "settings", "notes", "dead-letter"):
        assert key in shown.stdout


def test_what_the_settings_tell_is_not_asked(written: Written) -> None:
    queue = '[[queue]]\nname = "q"\nurl = "sqs://123456789012/events"\nregion = "cn-north-1"\n'
    done = subscription("s3", "acme-eu", config=written(ACME + queue))  # there are no credentials to ask with
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told.keys() == {"queue", "queue_policy", "notifications", "reader_policy", "settings", "notes"}
    assert told["queue"] == {
        "name": "events",
        "arn": "arn:aws-cn:sqs:cn-north-1:123456789012:events",
        "attributes": {
            "ReceiveMessageWaitTimeSeconds": "20",
            "VisibilityTimeout": "120",
            "MessageRetentionPeriod": "1209600",
        },
    }
    [sender] = told["queue_policy"]["Statement"]
    assert sender["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws-cn:s3:::acme-recordings"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert told["notifications"]["acme-recordings"]["QueueConfigurations"][0]["Events"] == [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
    ]
    assert told["settings"] == queue
    assert any("no dead-letter queue on purpose" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("via", "keys"), [("sns", {"topic", "topic_policy", "subscription"}), ("eventbridge", {"rules"})]
)
def test_other_ways_have_parts_of_their_own(written: Written, via: str, keys: set[str]) -> None:
    queue = '[[queue]]\nname = "q"\nurl = "sqs://123456789012/events"\nregion = "eu-west-1"\n'
    told = json.loads(CliRunner().invoke(app, ["s3", "acme-eu", "--via", via, "-c", str(written(ACME + queue))]).stdout)
    assert keys <= told.keys()
    if via == "eventbridge":
        [rule] = told["rules"]
        assert rule["event_pattern"]["detail"]["object"] == {"key": [{"prefix": "live/eu/"}]}
        assert told["notifications"] == {"acme-recordings": {"EventBridgeConfiguration": {}}}


def test_s3_is_set_once_and_says_what_is_left_to_do(aws: Account, written: Written) -> None:
    bucket = aws.new_bucket()
    tables = f'[[source]]\nname = "set"\ncustomer = "A"\nurl = "s3://{bucket}/a"\nendpoint = "{aws.endpoint}"\n'
    config = written(tables)
    printed = json.loads(subscription("s3", "set", config=config, **aws.environ()).stdout)
    assert printed["queue"]["arn"] == "arn:aws:sqs:us-east-1:000000000000:roomledger-set"
    first = subscription("s3", "set", "--apply", config=config, **aws.environ())
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.count("\nset   ") + first.stdout.startswith("set   ") == 2
    assert printed["settings"] in first.stdout
    assert "Give --reader" in first.stdout
    with config.open("a") as file:
        file.write(printed["settings"])
    arn, _ = aws.new_user("set-reader")
    again = subscription("s3", "set", "--apply", "--reader", arn, config=config, **aws.environ())
    assert "set   user set-reader" in again.stdout
    last = subscription("s3", "set", "--apply", "--reader", arn, config=config, **aws.environ())
    assert last.stdout.splitlines()[-1] == "Nothing had to be changed."
    assert all(line.startswith("kept  ") for line in last.stdout.splitlines()[:-1])


def test_gcs_is_set_once_and_says_what_is_left_to_do(google: GoogleCloud, written: Written) -> None:
    google.new_bucket("b")
    config = written(f'[[source]]\nname = "set"\ncustomer = "A"\nurl = "gs://b/a"\nendpoint = "{google.endpoint}"\n')
    words = ("gcs", "set", "--project", "acme-prod")
    emulator = {"PUBSUB_EMULATOR_HOST": google.pubsub.removeprefix("http://")}
    printed = json.loads(subscription(*words, config=config, **emulator).stdout)
    assert printed["grants"][0]["member"] == f"serviceAccount:{AGENT}"
    assert printed["grants"][1]["member"] is None
    assert any("--reader" in note for note in printed["notes"])
    first = subscription(*words, "--apply", config=config, **emulator)
    assert (first.returncode, first.stderr) == (0, "")
    assert "Set: 4." in first.stdout
    assert printed["settings"] in first.stdout
    [made] = google.buckets["b"]["notifications"]
    assert {key: made[key] for key in made if key != "id"} == printed["notifications"]["b"][0]
    last = subscription(*words, "--apply", config=config, **emulator)
    assert "Nothing had to be changed." in last.stdout
    with config.open("a") as file:
        file.write(printed["settings"])
    assert settings.read(config, {}).queues[0].url == "pubsub://acme-prod/roomledger-set"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("s3 nobody", "no source is called nobody"),
        ("s3 acme-us", "use roomledger bell gcs acme-us"),
        ("s3 acme-eu", "no AWS credentials were found"),
        ("s3 acme-eu --profile nobody", "nobody"),
        ("s3 acme-eu --apply --reader somebody --format terraform", "--apply sets it itself"),
        ("s3 acme-eu --topic t", "--topic goes with --via sns"),
        ("gcs acme-us", "no Google credentials were found"),
        ("gcs acme-us --project p --reader me@x -f terraform", "serviceAccount:me@x"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(written: Written, words: str, said: str) -> None:
    done = CliRunner().invoke(app, [*words.split(), "--config", str(written(ACME))])
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_cloud_that_does_not_answer_is_no_mistake_of_the_user(written: Written) -> None:
    (port,) = free_ports(1)
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    tables = f'[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b"\nendpoint = "http://127.0.0.1:{port}"\n'
    done = subscription("s3", "a", config=written(tables), **keys)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "no proper answer from AWS" in done.stderr
