"""The choice of sources and queue from the settings, and the plans that follow from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomledger.provisioning import CannotConfigure, Target
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.selection import select
from roomledger.settings import Settings, SettingsError

Read = Callable[[str], Settings]
SOURCES = (
    '[[source]]\nname = "eu"\ncustomer = "A"\nurl = "s3://b/live/eu"\n'
    '[[source]]\nname = "us"\ncustomer = "A"\nurl = "s3://b/live/us"\n'
    '[[source]]\nname = "far"\ncustomer = "A"\nurl = "s3://c"\nregion = "eu-west-1"\n'
    '[[source]]\nname = "goo"\ncustomer = "A"\nurl = "gs://b"\n'
    '[[source]]\nname = "here"\ncustomer = "A"\nurl = "file:///tmp/x"\n'
)


def queue(name: str, url: str) -> str:
    return f'[[queue]]\nname = "{name}"\nurl = "{url}"\n'


def test_sources_are_selected_with_their_queue(read: Read) -> None:
    tables = SOURCES + queue("q", "sqs://events") + queue("p", "pubsub://p-1/s-1")
    selection = select(read(tables), ["eu", "eu"], scheme="s3")
    assert selection.targets == (Target("eu", "b", "live/eu/"),)
    assert selection.queue
    assert selection.queue.name == "q"
    assert aws_plan.resource_names(selection, Via.SQS, None)[0] == "events"
    google = select(read(tables), ["goo"], scheme="gs")
    assert google.targets == (Target("goo", "b", ""),)
    assert gcp_plan.resource_names(google, project=None, topic=None, reader=None) == ("p-1", "s-1", "s-1")
    assert select(read(SOURCES), ["eu"], scheme="s3").queue is None
    several = SOURCES + queue("q", "sqs://events") + queue("r", "sqs://others")
    assert select(read(several), ["eu"], scheme="s3", queue="r").queue == read(several).queues[1]


@pytest.mark.parametrize(
    ("names", "scheme", "name", "tables", "message"),
    [
        (["goo"], "s3", None, "", "use roomledger notifications gcs goo"),
        (["eu"], "gs", None, "", "use roomledger notifications s3 eu"),
        (["here"], "s3", None, "", "only S3 and GCS buckets send notifications"),
        (["eu", "far"], "s3", None, "", "differ in their region"),
        (["eu"], "s3", None, queue("q", "sqs://1") + queue("r", "sqs://2"), "choose with --queue q or r"),
        (["eu"], "s3", "x", queue("q", "sqs://1") + queue("p", "pubsub://p-1/s-1"), "use q$"),
        (["eu"], "s3", "x", "", r"write a \[\[queue\]\] with name and url"),
    ],
)
def test_a_wrong_selection_is_reported(
    read: Read, names: list[str], scheme: str, name: str | None, tables: str, message: str
) -> None:
    with pytest.raises(CannotConfigure, match=message):
        select(read(SOURCES + tables), names, scheme=scheme, queue=name)


def test_an_unknown_source_is_a_settings_error(read: Read) -> None:
    with pytest.raises(SettingsError, match="no source is called nobody"):
        select(read(SOURCES), ["nobody"], scheme="s3")


@pytest.mark.parametrize(
    ("source", "url", "via", "topic", "message"),
    [
        ("a", "sqs://q.fifo", Via.SQS, None, "FIFO"),
        ("a" * 70, None, Via.SQS, None, "not a valid queue name"),
        ("a" * 60, None, Via.EVENTBRIDGE, None, "not a valid rule name"),
        ("a", None, Via.SNS, "arn:aws:sns:x", "not a valid topic name"),
        ("a", None, Via.SQS, "t", "--topic requires --via sns"),
    ],
)
def test_names_that_aws_does_not_accept_are_reported(
    read: Read, source: str, url: str | None, via: Via, topic: str | None, message: str
) -> None:
    tables = f'[[source]]\nname = "{source}"\ncustomer = "A"\nurl = "s3://b"\n' + (queue("q", url) if url else "")
    with pytest.raises(CannotConfigure, match=message):
        aws_plan.resource_names(select(read(tables), [source], scheme="s3"), via, topic)


def test_google_projects_and_readers_are_checked(read: Read) -> None:
    selection = select(read(SOURCES + queue("p", "pubsub://p-1/s-1")), ["goo"], scheme="gs")
    with pytest.raises(CannotConfigure, match="is in project p-1"):
        gcp_plan.resource_names(selection, project="p-2", topic=None, reader=None)
    with pytest.raises(CannotConfigure, match="serviceAccount:me@x"):
        gcp_plan.resource_names(selection, project=None, topic=None, reader="me@x")
    without_queue = select(read(SOURCES), ["goo"], scheme="gs")
    with pytest.raises(CannotConfigure, match="use --project"):
        gcp_plan.resource_names(without_queue, project=None, topic=None, reader=None)
    assert gcp_plan.resource_names(without_queue, project="p-1", topic="t", reader=None) == (
        "p-1",
        "t",
        "roomledger-goo",
    )


def test_each_source_has_its_own_statement_id(read: Read) -> None:
    names = ["a-b", "a_b", "ab", "ahb"]
    tables = "".join(
        f'[[source]]\nname = "{n}"\ncustomer = "A"\nurl = "s3://bucket-{i}"\n' for i, n in enumerate(names)
    )
    selection = select(read(tables), names, scheme="s3")
    plan = aws_plan.build_plan(selection, Via.SQS, None, aws_plan.Arns("123456789012", "us-east-1"))
    sids = [statement["Sid"] for statement in plan["queue_policy"]["Statement"]]
    assert len(set(sids)) == 4
    assert all(sid.isalnum() for sid in sids)


def test_special_characters_of_a_prefix_are_escaped_for_iam(read: Read) -> None:
    tables = '[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b/a*b$"\n'
    selection = select(read(tables), ["a"], scheme="s3")
    plan = aws_plan.build_plan(selection, Via.SQS, None, aws_plan.Arns("123456789012", "us-east-1"))
    objects = plan["reader_policy"]["Statement"][1]
    assert objects["Resource"] == "arn:aws:s3:::b/a${*}b${$}/*"


def test_the_service_agent_of_several_buckets_is_granted_once(read: Read) -> None:
    selection = select(
        read(SOURCES + '[[source]]\nname = "gle"\ncustomer = "A"\nurl = "gs://c"\n'), ["goo", "gle"], scheme="gs"
    )
    names = gcp_plan.resource_names(selection, project="p-1", topic=None, reader=None)
    grants = gcp_plan.build_plan(selection, names, reader=None, agents={"b": "agent@x", "c": "agent@x"})["grants"]
    assert [(one["resource"].rpartition("/")[2], one["member"]) for one in grants] == [
        ("roomledger-goo", "serviceAccount:agent@x"),
        ("roomledger-goo", None),
        ("b", None),
        ("c", None),
    ]
