"""Which sources ring in which queue."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from roomledger.provisioning import CannotConfigure, Target
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.selection import choose
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


def test_sources_and_their_queue(read: Read) -> None:
    given = SOURCES + queue("q", "sqs://events") + queue("p", "pubsub://p-1/s-1")
    choice = choose(read(given), ["eu", "eu"], scheme="s3")
    assert choice.rings == (Target("eu", "b", "live/eu/"),)
    assert choice.neighbours == ("us",)
    assert choice.queue
    assert choice.queue.name == "q"
    assert aws_plan.names(choice, Via.SQS, None)[0] == "events"
    found = choose(read(given), ["goo"], scheme="gs")
    assert found.rings == (Target("goo", "b", ""),)
    assert gcp_plan.names_of(found, project=None, topic=None, reader=None) == ("p-1", "s-1", "s-1")
    assert choose(read(SOURCES), ["eu"], scheme="s3").queue is None
    several = SOURCES + queue("q", "sqs://events") + queue("r", "sqs://others")
    assert choose(read(several), ["eu"], scheme="s3", queue="r").queue == read(several).queues[1]


@pytest.mark.parametrize(
    ("names", "scheme", "name", "tables", "said"),
    [
        (["goo"], "s3", None, "", "use roomledger bell gcs goo"),
        (["eu"], "gs", None, "", "use roomledger bell s3 eu"),
        (["here"], "s3", None, "", "it rings no bell"),
        (["eu", "far"], "s3", None, "", "differ in their region"),
        (["eu"], "s3", None, queue("q", "sqs://1") + queue("r", "sqs://2"), "choose with --queue q or r"),
        (["eu"], "s3", "x", queue("q", "sqs://1") + queue("p", "pubsub://p-1/s-1"), "they have q"),
        (["eu"], "s3", "x", "", r"write a \[\[queue\]\] with name and url"),
    ],
)
def test_what_cannot_ring(read: Read, names: list[str], scheme: str, name: str | None, tables: str, said: str) -> None:
    with pytest.raises(CannotConfigure, match=said):
        choose(read(SOURCES + tables), names, scheme=scheme, queue=name)


def test_an_unknown_source_is_told_as_everywhere(read: Read) -> None:
    with pytest.raises(SettingsError, match="no source is called nobody"):
        choose(read(SOURCES), ["nobody"], scheme="s3")


@pytest.mark.parametrize(
    ("source", "url", "via", "topic", "said"),
    [
        ("a", "sqs://q.fifo", Via.SQS, None, "FIFO"),
        ("a" * 70, None, Via.SQS, None, "cannot be the name of a queue"),
        ("a" * 60, None, Via.EVENTBRIDGE, None, "cannot be the name of a rule"),
        ("a", None, Via.SNS, "arn:aws:sns:x", "cannot be the name of a topic"),
        ("a", None, Via.SQS, "t", "--topic goes with --via sns"),
    ],
)
def test_names_that_aws_does_not_take(
    read: Read, source: str, url: str | None, via: Via, topic: str | None, said: str
) -> None:
    tables = f'[[source]]\nname = "{source}"\ncustomer = "A"\nurl = "s3://b"\n' + (queue("q", url) if url else "")
    with pytest.raises(CannotConfigure, match=said):
        aws_plan.names(choose(read(tables), [source], scheme="s3"), via, topic)


def test_projects_and_readers_of_google(read: Read) -> None:
    choice = choose(read(SOURCES + queue("p", "pubsub://p-1/s-1")), ["goo"], scheme="gs")
    with pytest.raises(CannotConfigure, match="lies in project p-1"):
        gcp_plan.names_of(choice, project="p-2", topic=None, reader=None)
    with pytest.raises(CannotConfigure, match="serviceAccount:me@x"):
        gcp_plan.names_of(choice, project=None, topic=None, reader="me@x")
    unknown = choose(read(SOURCES), ["goo"], scheme="gs")
    with pytest.raises(CannotConfigure, match="give --project"):
        gcp_plan.names_of(unknown, project=None, topic=None, reader=None)
    assert gcp_plan.names_of(unknown, project="p-1", topic="t", reader=None) == ("p-1", "t", "roomledger-goo")


def test_statements_of_two_sources_never_take_each_others_place(read: Read) -> None:
    names = ["a-b", "a_b", "ab", "ahb"]
    tables = "".join(
        f'[[source]]\nname = "{n}"\ncustomer = "A"\nurl = "s3://bucket-{i}"\n' for i, n in enumerate(names)
    )
    choice = choose(read(tables), names, scheme="s3")
    parts = aws_plan.needed(choice, Via.SQS, None, aws_plan.arns("123456789012", "us-east-1"))
    sids = [statement["Sid"] for statement in parts["queue_policy"]["Statement"]]
    assert len(set(sids)) == 4
    assert all(sid.isalnum() for sid in sids)


def test_a_star_in_a_prefix_is_no_wildcard_to_iam(read: Read) -> None:
    tables = '[[source]]\nname = "a"\ncustomer = "A"\nurl = "s3://b/a*b$"\n'
    choice = choose(read(tables), ["a"], scheme="s3")
    parts = aws_plan.needed(choice, Via.SQS, None, aws_plan.arns("123456789012", "us-east-1"))
    objects = parts["reader_policy"]["Statement"][1]
    assert objects["Resource"] == "arn:aws:s3:::b/a${*}b${$}/*"


def test_one_agent_of_several_buckets_is_let_in_once(read: Read) -> None:
    choice = choose(
        read(SOURCES + '[[source]]\nname = "gle"\ncustomer = "A"\nurl = "gs://c"\n'), ["goo", "gle"], scheme="gs"
    )
    names = gcp_plan.names_of(choice, project="p-1", topic=None, reader=None)
    grants = gcp_plan.needed(choice, names, reader=None, agents={"b": "agent@x", "c": "agent@x"})["grants"]
    assert [(one["resource"].rpartition("/")[2], one["member"]) for one in grants] == [
        ("roomledger-goo", "serviceAccount:agent@x"),
        ("roomledger-goo", None),
        ("b", None),
        ("c", None),
    ]
