"""What makes an S3 bucket ring, as one document: every part as boto3 and the AWS command line take it.

The way from the bucket to the queue is direct, or over an SNS topic, or over EventBridge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote_plus

from roomledger.provisioning import CannotConfigure, Document, Target
from roomledger.provisioning.selection import Choice

EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
QUEUE_ATTRIBUTES = {
    "ReceiveMessageWaitTimeSeconds": "20",
    "VisibilityTimeout": "120",
    "MessageRetentionPeriod": str(14 * 24 * 60 * 60),
}
"""Seconds: receivers wait on the server, hold a message for as long as a look-up may take, and may be away for long."""
READER_ACTIONS = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
)
_LONGEST = {"queue": 80, "topic": 256, "rule": 64}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r"[A-Za-z0-9/._-]*")


class Via(StrEnum):
    """How word of an object comes from the bucket into the queue."""

    SQS = "sqs"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"


class Addresses(NamedTuple):
    """Where the parts are: ARNs, or the references by which Terraform knows them."""

    account: str
    of: Callable[[str, str], str]
    """Gives that of a `bucket`, `queue`, `topic` or `rule` by its name."""


def arns(account: str, region: str, partition: str = "aws") -> Addresses:
    """Give the addresses in this account and region."""
    before = {
        "bucket": f"arn:{partition}:s3:::",
        "queue": f"arn:{partition}:sqs:{region}:{account}:",
        "topic": f"arn:{partition}:sns:{region}:{account}:",
        "rule": f"arn:{partition}:events:{region}:{account}:rule/",
    }
    return Addresses(account, lambda kind, name: before[kind] + name)


def needed(choice: Choice, via: Via, topic: str | None, at: Addresses) -> Document:
    """Give what `roomledger bell s3` prints; its help says what stands under which key. Raises `CannotRing`."""
    queue_name, topic_name = names(choice, via, topic)
    queue, topic = at.of("queue", queue_name), at.of("topic", topic_name)
    buckets = {ring: at.of("bucket", ring.bucket) for ring in choice.rings}
    service, senders = {
        Via.SQS: ("s3", buckets),
        Via.SNS: ("sns", dict.fromkeys(choice.rings, topic)),
        Via.EVENTBRIDGE: ("events", {ring: at.of("rule", ring.name) for ring in choice.rings}),
    }[via]
    told: Document = {
        "queue": {"name": queue_name, "arn": queue, "attributes": QUEUE_ATTRIBUTES},
        "queue_policy": _let_in(service, senders, "sqs:SendMessage", queue, at),
    }
    if via is Via.SNS:
        told["topic"] = {"name": topic_name, "arn": topic}
        told["topic_policy"] = _let_in("s3", buckets, "sns:Publish", topic, at)
        told["subscription"] = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue}
    if via is Via.EVENTBRIDGE:
        targets = [{"Id": "roomledger", "Arn": queue}]
        told["rules"] = [
            {"name": ring.name, "event_pattern": _event_pattern(ring), "targets": targets} for ring in choice.rings
        ]
    told["notifications"] = {
        bucket: _notifications([ring for ring in choice.rings if ring.bucket == bucket], via, queue, topic)
        for bucket in choice.buckets
    }
    told["reader_policy"] = reader_policy(choice.rings, queue, at)
    return told


def names(choice: Choice, via: Via, topic: str | None) -> tuple[str, str]:
    """Give the names of queue and topic. Raises `CannotRing` for names that AWS does not take."""
    queue = str(choice.queue.parts["queue"]) if choice.queue else choice.name
    if queue.endswith(".fifo"):
        raise CannotConfigure(f"{queue} is a FIFO queue, and S3 sends to none: name another queue in the settings")
    if topic is not None and via is not Via.SNS:
        raise CannotConfigure("--topic goes with --via sns")
    topic = topic or choice.name
    wanted = [("queue", queue), *([("topic", topic)] if via is Via.SNS else [])]
    wanted += [("rule", ring.name) for ring in choice.rings if via is Via.EVENTBRIDGE]
    for kind, name in wanted:
        if len(name) > _LONGEST[kind] or not _NAME.fullmatch(name):
            ways = {"queue": "write a [[queue]] with another", "topic": "choose with --topic", "rule": "use --via sqs"}
            raise CannotConfigure(
                f"{name} cannot be the name of a {kind}, which AWS wants of at most {_LONGEST[kind]} letters, digits, "
                f"'-' and '_': {ways[kind]}"
            )
    return queue, topic


def _notifications(rings: Sequence[Target], via: Via, queue: str, topic: str) -> Document:
    """What is to stand in the notification configuration of a bucket, beside what others have there."""
    if via is Via.EVENTBRIDGE:
        return {"EventBridgeConfiguration": {}}
    kind, arn = ("Topic", topic) if via is Via.SNS else ("Queue", queue)
    entries = []
    for ring in rings:
        entry: Document = {"Id": ring.name, f"{kind}Arn": arn, "Events": list(EVENTS)}
        if ring.prefix:
            # The filters want a space as '+', and other special characters percent-encoded (AWS manual).
            rule = {"Name": "prefix", "Value": quote_plus(ring.prefix, safe="/!-_.*'()")}
            entry["Filter"] = {"Key": {"FilterRules": [rule]}}
        entries.append(entry)
    return {f"{kind}Configurations": entries}


def _event_pattern(ring: Target) -> Document:
    """Which events of EventBridge are ours; its keys are not encoded."""
    detail: Document = {"bucket": {"name": [ring.bucket]}}
    if ring.prefix:
        detail["object"] = {"key": [{"prefix": ring.prefix}]}
    return {"source": ["aws.s3"], "detail-type": ["Object Created", "Object Deleted"], "detail": detail}


def _let_in(service: str, senders: Mapping[Target, str], action: str, to: str, at: Addresses) -> Document:
    """Who may send to a queue, or publish to a topic: what has these ARNs, and buckets of this account only."""
    statements = []
    for ring, arn in senders.items():
        condition: Document = {"ArnEquals": {"aws:SourceArn": arn}}
        if service == "s3":
            condition["StringEquals"] = {"aws:SourceAccount": at.account}
        # IAM takes letters and digits only; names of sources have no capitals, so two never get the same.
        name = "Roomledger" + ring.source.replace("-", "H").replace("_", "U")
        rest = {"Principal": {"Service": f"{service}.amazonaws.com"}, "Condition": condition}
        statements.append({"Sid": name, **_allow(action, to), **rest})
    return _policy(statements)


def reader_policy(rings: Sequence[Target], queue: str, at: Addresses) -> Document:
    """What whoever reads the queue and these objects may do."""
    statements = [_allow(list(READER_ACTIONS), queue)]
    buckets = {ring.bucket: at.of("bucket", ring.bucket) for ring in rings}
    for ring in rings:
        # As IAM takes it for itself (AWS manual): `*` and `?` are wildcards there, `$` opens a variable.
        prefix = re.sub(r"[*?$]", r"${\g<0>}", ring.prefix)
        statements.append(_allow(["s3:GetObject", "s3:GetObjectVersion"], f"{buckets[ring.bucket]}/{prefix}*"))
    return _policy([*statements, *(_allow("s3:ListBucket", bucket) for bucket in buckets.values())])


def _allow(action: str | list[str], resource: str) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _policy(statements: list[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def notes(choice: Choice, via: Via) -> list[str]:
    """What a person should know before setting it."""
    told = [
        "The queue has no dead-letter queue on purpose: a message that cannot be understood is kept as a refusal in "
        "the warehouse and removed, and one whose object could not be looked up comes again.",
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
