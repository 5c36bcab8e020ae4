"""The configuration that makes S3 buckets notify an SQS queue, as one document in the shapes of boto3 and the AWS CLI.

Events go to the queue directly, through an SNS topic, or through EventBridge. The module
`deploy/terraform/aws` configures the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import quote_plus

from roomledger.provisioning import CannotConfigure, Document, Target
from roomledger.provisioning.selection import Selection

EVENTS = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
QUEUE_ATTRIBUTES = {
    "ReceiveMessageWaitTimeSeconds": "20",
    "VisibilityTimeout": "120",
    "MessageRetentionPeriod": str(14 * 24 * 60 * 60),
}
"""Seconds: for long polling, for checking the object of a message, and for an outage of the receiver."""
QUEUE_ACTIONS = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
]
_MAX_LENGTHS = {"queue": 80, "topic": 256, "rule": 64}
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_UNENCODED = re.compile(r"[A-Za-z0-9/._-]*")


class Via(StrEnum):
    """The path of an event from the bucket to the queue."""

    SQS = "sqs"
    SNS = "sns"
    EVENTBRIDGE = "eventbridge"


class Arns(NamedTuple):
    """ARNs in one account and region."""

    account: str
    region: str
    partition: str = "aws"

    def bucket(self, name: str) -> str:
        """ARN of a bucket."""
        return f"arn:{self.partition}:s3:::{name}"

    def of(self, service: str, name: str) -> str:
        """ARN of a queue, topic or rule."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{name}"


def build_plan(selection: Selection, via: Via, topic: str | None, arns: Arns) -> Document:
    """Return what `roomledger notifications s3` prints; its help explains the keys. Raises `CannotConfigure`."""
    targets = selection.targets
    queue_name, topic_name = resource_names(selection, via, topic)
    queue, topic = arns.of("sqs", queue_name), arns.of("sns", topic_name)
    buckets = {target: arns.bucket(target.bucket) for target in targets}
    rules = {target: arns.of("events", f"rule/{target.name}") for target in targets}
    service, senders = {
        Via.SQS: ("s3", buckets),
        Via.SNS: ("sns", dict.fromkeys(targets, topic)),
        Via.EVENTBRIDGE: ("events", rules),
    }[via]
    plan: Document = {
        "queue": {"name": queue_name, "arn": queue, "attributes": QUEUE_ATTRIBUTES},
        "queue_policy": _sender_policy(service, senders, "sqs:SendMessage", queue, arns),
    }
    if via is Via.SNS:
        plan["topic"] = {"name": topic_name, "arn": topic}
        plan["topic_policy"] = _sender_policy("s3", buckets, "sns:Publish", topic, arns)
        plan["subscription"] = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": queue}
    if via is Via.EVENTBRIDGE:
        destination = [{"Id": "roomledger", "Arn": queue}]
        plan["rules"] = [
            {"name": target.name, "event_pattern": _event_pattern(target), "targets": destination} for target in targets
        ]
    plan["notifications"] = {
        bucket: _notifications([target for target in targets if target.bucket == bucket], via, queue, topic)
        for bucket in selection.buckets
    }
    plan["reader_policy"] = reader_policy(targets, queue, arns)
    return plan


def resource_names(selection: Selection, via: Via, topic: str | None) -> tuple[str, str]:
    """Return the names of queue and topic. Raises `CannotConfigure` for a name that AWS does not accept."""
    queue = str(selection.queue.parts["queue"]) if selection.queue else selection.name
    if queue.endswith(".fifo"):
        raise CannotConfigure(f"{queue} is a FIFO queue, and S3 cannot send to one: use another queue")
    if topic is not None and via is not Via.SNS:
        raise CannotConfigure("--topic requires --via sns")
    topic = topic or selection.name
    names = [("queue", queue), *([("topic", topic)] if via is Via.SNS else [])]
    names += [("rule", target.name) for target in selection.targets if via is Via.EVENTBRIDGE]
    ways_out = {"queue": "write a [[queue]] with another name", "topic": "use --topic", "rule": "use --via sqs"}
    for kind, name in names:
        if len(name) > _MAX_LENGTHS[kind] or not _NAME.fullmatch(name):
            raise CannotConfigure(
                f"'{name}' is not a valid {kind} name: AWS accepts at most {_MAX_LENGTHS[kind]} letters, digits, "
                f"'-' and '_'; {ways_out[kind]}"
            )
    return queue, topic


def _notifications(targets: Sequence[Target], via: Via, queue: str, topic: str) -> Document:
    """Our part of the notification configuration of one bucket."""
    if via is Via.EVENTBRIDGE:
        return {"EventBridgeConfiguration": {}}
    kind, arn = ("Topic", topic) if via is Via.SNS else ("Queue", queue)
    entries = []
    for target in targets:
        entry: Document = {"Id": target.name, f"{kind}Arn": arn, "Events": EVENTS}
        if target.prefix:
            # Filters need a space as '+' and other special characters percent-encoded (AWS manual).
            rule = {"Name": "prefix", "Value": quote_plus(target.prefix, safe="/!-_.*'()")}
            entry["Filter"] = {"Key": {"FilterRules": [rule]}}
        entries.append(entry)
    return {f"{kind}Configurations": entries}


def _event_pattern(target: Target) -> Document:
    """The EventBridge events of one source; keys are not encoded here."""
    detail: Document = {"bucket": {"name": [target.bucket]}}
    if target.prefix:
        detail["object"] = {"key": [{"prefix": target.prefix}]}
    return {"source": ["aws.s3"], "detail-type": ["Object Created", "Object Deleted"], "detail": detail}


def _sender_policy(service: str, senders: Mapping[Target, str], action: str, resource: str, arns: Arns) -> Document:
    """Resource policy of a queue or topic: only these senders, and only buckets of this account."""
    statements = []
    for target, arn in senders.items():
        condition: Document = {"ArnEquals": {"aws:SourceArn": arn}}
        if service == "s3":
            condition["StringEquals"] = {"aws:SourceAccount": arns.account}
        # A Sid has letters and digits only; source names are lower-case, so no two of them share a Sid.
        sid = "Roomledger" + target.source.replace("-", "H").replace("_", "U")
        principal = {"Service": f"{service}.amazonaws.com"}
        statements.append({"Sid": sid, "Principal": principal, **_allow(action, resource), "Condition": condition})
    return _policy(statements)


def reader_policy(targets: Sequence[Target], queue: str, arns: Arns) -> Document:
    """IAM policy of the role or user that receives the messages and reads the objects."""
    buckets = dict.fromkeys(arns.bucket(target.bucket) for target in targets)
    statements = [_allow(QUEUE_ACTIONS, queue)]
    for target in targets:
        # IAM: `*` and `?` are wildcards, `$` opens a variable, and `${*}` is the character itself (AWS manual).
        prefix = re.sub(r"[*?$]", r"${\g<0>}", target.prefix)
        objects = f"{arns.bucket(target.bucket)}/{prefix}*"
        statements.append(_allow(["s3:GetObject", "s3:GetObjectVersion"], objects))
    return _policy([*statements, *(_allow("s3:ListBucket", bucket) for bucket in buckets)])


def _allow(action: str | list[str], resource: str) -> Document:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _policy(statements: list[Document]) -> Document:
    return {"Version": "2012-10-17", "Statement": statements}


def notes(selection: Selection, via: Via) -> list[str]:
    """What to know before applying the plan."""
    notes = [
        "The queue has no dead-letter queue on purpose: a rejected message is stored as a refusal in the warehouse and "
        "deleted from the queue; a message whose object could not be checked is delivered again.",
        "S3 replaces the notification configuration of a bucket as a whole: add these entries to the existing ones, or "
        "use --apply, which does so.",
    ]
    if via is Via.EVENTBRIDGE:
        return [*notes, "S3 sends every event of the bucket to EventBridge; the rules select those of the sources."]
    notes += [
        f"The prefix {target.prefix!r} of source {target.source} has special characters, which S3 expects encoded: "
        "check that an upload arrives in the queue, or use --via eventbridge, which needs no encoding."
        for target in selection.targets
        if not _UNENCODED.fullmatch(target.prefix)
    ]
    return notes
