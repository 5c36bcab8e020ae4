"""What makes an S3 bucket ring: queue, policies and notifications, as boto3 and the AWS command line take them.

Addresses are ARNs, or the expressions by which Terraform knows them. The way from the bucket to the queue is direct, or
over an SNS topic, or over EventBridge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus

from roomledger.cloud import CannotRing, Ring
from roomledger.cloud.choice import Choice
from roomledger.cloud.hcl import Text

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
QUEUE_ATTRIBUTES = {
    "ReceiveMessageWaitTimeSeconds": "20",
    "VisibilityTimeout": "120",
    "MessageRetentionPeriod": str(14 * 24 * 60 * 60),
}
"""Seconds: receivers wait on the server, hold a message for as long as a look-up may take, and may be away for long."""
NO_DEAD_LETTERS = (
    "The queue has no dead-letter queue on purpose: a message that cannot be understood is kept as a refusal in the "
    "warehouse and removed, and one whose object could not be looked up comes again."
)
_LONGEST = {"queue": 80, "topic": 256, "rule": 64}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z0-9/._-]*")


class Via(StrEnum):
    """How word of an object comes from the bucket into the queue."""

    SQS = "sqs"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Bell:
    """Everything that has an address, with it."""

    rings: tuple[Ring, ...]
    via: Via
    queue: str
    """Name, as that of the topic."""
    topic: str
    account: Text
    queue_arn: Text
    topic_arn: Text
    bucket_arns: Mapping[str, Text]
    """By bucket."""
    rule_arns: Mapping[str, Text]
    """By source."""

    @property
    def buckets(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(ring.bucket for ring in self.rings))


def bell_of(
    choice: Choice, via: Via, topic: str | None, *, account: str, region: str, partition: str = "aws"
) -> S3Bell:
    """Give the bell of this account and region. Raises `CannotRing`."""
    queue, topic = names(choice, via, topic)

    def arn(service: str, resource: str) -> str:
        return f"arn:{partition}:{service}:{region}:{account}:{resource}"

    return S3Bell(
        rings=choice.rings,
        via=via,
        queue=queue,
        topic=topic,
        account=account,
        queue_arn=arn("sqs", queue),
        topic_arn=arn("sns", topic),
        bucket_arns={ring.bucket: f"arn:{partition}:s3:::{ring.bucket}" for ring in choice.rings},
        rule_arns={ring.source: arn("events", f"rule/{name_of(ring)}") for ring in choice.rings},
    )


def names(choice: Choice, via: Via, topic: str | None) -> tuple[str, str]:
    """Give the names of queue and topic. Raises `CannotRing` for names that AWS does not take."""
    queue = str(choice.queue.parts["queue"]) if choice.queue else choice.name
    if queue.endswith(".fifo"):
        raise CannotRing(f"{queue} is a FIFO queue, and S3 sends to none: name another queue in the settings")
    if topic is not None and via is not Via.SNS:
        raise CannotRing("--topic goes with --via sns")
    topic = topic or choice.name
    wanted = [("queue", queue), *([("topic", topic)] if via is Via.SNS else [])]
    wanted += [("rule", name_of(ring)) for ring in choice.rings if via is Via.EVENTBRIDGE]
    for kind, name in wanted:
        if len(name) > _LONGEST[kind] or not _NAME.fullmatch(name):
            ways = {"queue": "write a [[queue]] with another", "topic": "choose with --topic", "rule": "use --via sqs"}
            raise CannotRing(
                f"{name} cannot be the name of a {kind}, which AWS wants of at most {_LONGEST[kind]} letters, digits, "
                f"'-' and '_': {ways[kind]}"
            )
    return queue, topic


def name_of(ring: Ring) -> str:
    """What the parts of one source are called: its notification, rule and reader's policy."""
    return f"roomledger-{ring.source}"


def notifications(bell: S3Bell, bucket: str) -> dict[str, Any]:
    """What is to stand in the notification configuration of a bucket, beside what others have there."""
    if bell.via is Via.EVENTBRIDGE:
        return {"EventBridgeConfiguration": {}}
    kind, key, arn = ("Queue", "QueueArn", bell.queue_arn)
    if bell.via is Via.SNS:
        kind, key, arn = ("Topic", "TopicArn", bell.topic_arn)
    entries = []
    for ring in bell.rings:
        if ring.bucket == bucket:
            entry: dict[str, Any] = {"Id": name_of(ring), key: arn, "Events": list(EVENTS)}
            if ring.prefix:
                rule = {"Name": "prefix", "Value": filter_prefix(ring)}
                entry["Filter"] = {"Key": {"FilterRules": [rule]}}
            entries.append(entry)
    return {f"{kind}Configurations": entries}


def filter_prefix(ring: Ring) -> str:
    """The prefix as S3's filters want it: a space as '+', other special characters percent-encoded (AWS manual)."""
    return quote_plus(ring.prefix, safe="/!-_.*'()")


def event_pattern(ring: Ring) -> dict[str, Any]:
    """Which events of EventBridge are ours; its keys are not encoded."""
    detail: dict[str, Any] = {"bucket": {"name": [ring.bucket]}}
    if ring.prefix:
        detail["object"] = {"key": [{"prefix": ring.prefix}]}
    return {"source": ["aws.s3"], "detail-type": ["Object Created", "Object Deleted"], "detail": detail}


def target(bell: S3Bell) -> dict[str, Text]:
    """Where a rule sends its events."""
    return {"Id": "roomledger", "Arn": bell.queue_arn}


def subscription(bell: S3Bell) -> dict[str, Text]:
    """How the queue hears what the topic is told."""
    return {"TopicArn": bell.topic_arn, "Protocol": "sqs", "Endpoint": bell.queue_arn}


def notes(choice: Choice, via: Via) -> list[str]:
    """What a person should know before setting it."""
    told = [
        NO_DEAD_LETTERS,
        "S3 replaces the notifications of a bucket all at once, with aws_s3_bucket_notification too: put these beside "
        "those that the bucket has, or use --apply, which does.",
    ]
    if via is Via.EVENTBRIDGE:
        told.append("S3 tells EventBridge of every event in the bucket; the rules take out what is ours.")
    if choice.neighbours:
        told.append(
            f"In the same buckets lie: {', '.join(choice.neighbours)}. In Terraform name them in the same command: a "
            "bucket has one aws_s3_bucket_notification, and a queue one aws_sqs_queue_policy."
        )
    told += [
        f"The prefix {ring.prefix!r} of source {ring.source} holds special characters, which S3's filters want "
        "encoded: see that an upload arrives in the queue, or use --via eventbridge, which wants no encoding."
        for ring in choice.rings
        if via is not Via.EVENTBRIDGE and not _PLAIN.fullmatch(ring.prefix)
    ]
    return told
