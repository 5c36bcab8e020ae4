"""Other notifications of a bucket are preserved, or reported as a conflict."""

from __future__ import annotations

from typing import Any

import pytest

from roomledger.provisioning import CannotConfigure
from roomledger.provisioning.s3_notifications import merge

QUEUE = "arn:aws:sqs:us-east-1:123456789012:events"
OTHER = "arn:aws:sqs:us-east-1:123456789012:other"
TOPIC = "arn:aws:sns:us-east-1:123456789012:uploads"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:resize"
OURS = frozenset({"roomledger-acme"})
BOTH = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
KINDS = {"sqs": ("Queue", "QueueArn"), "sns": ("Topic", "TopicArn"), "lambda": ("LambdaFunction", "LambdaFunctionArn")}


def entry(id: str, arn: str, events: list[str], **filters: str) -> dict[str, Any]:
    """A configuration with one entry, its filter as S3 returns it."""
    kind, key = KINDS[arn.split(":")[2]]
    one: dict[str, Any] = {"Id": id, key: arn, "Events": events}
    if filters:
        rules = [{"Name": name.title(), "Value": value} for name, value in filters.items()]
        one["Filter"] = {"Key": {"FilterRules": rules}}
    return {f"{kind}Configurations": [one]}


WANTED = entry("roomledger-acme", QUEUE, BOTH, prefix="live/eu/")


@pytest.mark.parametrize(
    "theirs",
    [
        entry("resize", FUNCTION, ["s3:ObjectCreated:*"], prefix="live/europe/"),
        entry("resize", FUNCTION, ["s3:ObjectCreated:Put"], prefix="uploads/", suffix=".png"),
        entry("tags", OTHER, ["s3:ObjectTagging:*"]),
        entry("restored", TOPIC, ["s3:ObjectRestore:Completed", "s3:ReducedRedundancyLostObject"], prefix="live/eu/"),
        {"EventBridgeConfiguration": {}},
    ],
)
def test_notifications_without_a_conflict_are_preserved(theirs: dict[str, Any]) -> None:
    merged, (step,) = merge("bucket", theirs | {"ResponseMetadata": {}}, WANTED, OURS)
    assert step.changed
    queues = theirs.get("QueueConfigurations", []) + WANTED["QueueConfigurations"]
    assert merged == theirs | {"QueueConfigurations": queues}
    again, steps = merge("bucket", merged, WANTED, OURS)
    assert (again, [step.changed for step in steps]) == (merged, [False])


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        (entry("all", OTHER, ["s3:ObjectCreated:*"]), "notification all (s3:ObjectCreated:* of all keys to " + OTHER),
        (entry("put", FUNCTION, ["s3:ObjectCreated:Put"], prefix="live/"), "keys live/…"),
        (entry("in", OTHER, ["s3:ObjectRemoved:Delete"], prefix="live/eu/chat/"), "keys live/eu/chat/…"),
        (entry("csv", OTHER, ["s3:ObjectCreated:*"], suffix=".csv"), "keys ….csv"),
        (entry("fan", TOPIC, ["s3:ObjectCreated:*"]), "--via sns --topic uploads"),
        # The same queue with only some of the events or keys: S3 refuses that too.
        (entry("half", QUEUE, ["s3:ObjectCreated:*"], prefix="live/eu/"), "notification half"),
        (entry("some", QUEUE, BOTH, suffix=".csv"), "notification some"),
    ],
)
def test_a_notification_of_the_same_events_is_a_conflict(theirs: dict[str, Any], message: str) -> None:
    with pytest.raises(CannotConfigure) as refused:
        merge("bucket", theirs, WANTED, OURS)
    assert message in str(refused.value)
    assert "--via eventbridge" in str(refused.value)
    assert ("--topic" in str(refused.value)) == ("TopicConfigurations" in theirs)


def test_a_wider_notification_to_the_same_destination_is_sufficient() -> None:
    theirs = entry("by-hand", QUEUE, [*BOTH, "s3:ObjectTagging:*"], prefix="live/")
    merged, (step,) = merge("bucket", theirs, WANTED, OURS)
    assert (merged, step.changed) == (theirs, False)
    assert "by-hand" in step.description


def test_our_notification_is_recognised_in_the_form_that_s3_returns() -> None:
    [written] = WANTED["QueueConfigurations"]
    rules = [{"Name": "prefix", "Value": "live/eu/"}]
    wanted = {"QueueConfigurations": [written | {"Filter": {"Key": {"FilterRules": rules}}}]}
    assert [step.changed for step in merge("bucket", WANTED, wanted, OURS)[1]] == [False]


def test_our_notification_is_replaced_and_the_change_is_reported() -> None:
    before = entry("roomledger-acme", TOPIC, BOTH, prefix="old/")
    merged, (step,) = merge("bucket", before, WANTED, OURS)
    assert merged == WANTED
    assert step.changed
    assert f"replaces notification roomledger-acme ({', '.join(BOTH)} of keys old/… to {TOPIC})" in step.description


def test_eventbridge_replaces_our_notification_only() -> None:
    theirs = entry("all", OTHER, ["s3:ObjectCreated:*"], prefix="uploads/")
    before = {"QueueConfigurations": theirs["QueueConfigurations"] + WANTED["QueueConfigurations"]}
    merged, steps = merge("bucket", before, {"EventBridgeConfiguration": {}}, OURS)
    assert merged == theirs | {"EventBridgeConfiguration": {}}
    assert [step.changed for step in steps] == [True, True]
    again, steps = merge("bucket", merged, {"EventBridgeConfiguration": {}}, OURS)
    assert (again, [step.changed for step in steps]) == (merged, [False])
