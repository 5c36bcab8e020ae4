"""Who may do what so that an S3 bucket rings: policies of the queue, of the topic, and of whoever reads them."""

from __future__ import annotations

import re
from typing import Any

from roomledger.cloud import Ring
from roomledger.cloud.aws import S3Bell, Via
from roomledger.cloud.hcl import Text

READER_ACTIONS = (
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueUrl",
    "sqs:GetQueueAttributes",
)
_IAM_WILDCARDS = re.compile(r"[*?$]")

Policy = dict[str, Any]


def _statement_id(ring: Ring) -> str:
    # IAM takes letters and digits only; names of sources have no capitals, so two never get the same.
    return "Roomledger" + ring.source.replace("-", "H").replace("_", "U")


def queue_policy(bell: S3Bell) -> Policy:
    """Who may send to the queue: these buckets of this account, or their topic, or their rules."""
    return _policy(*(_sender(bell, ring) for ring in bell.rings))


def _sender(bell: S3Bell, ring: Ring) -> dict[str, Any]:
    match bell.via:
        case Via.SQS:
            return _from_bucket(bell, ring, "sqs:SendMessage", bell.queue_arn)
        case Via.SNS:
            service, arn = "sns", bell.topic_arn
        case Via.EVENTBRIDGE:
            service, arn = "events", bell.rule_arns[ring.source]
    condition = {"ArnEquals": {"aws:SourceArn": arn}}
    return _from(service, ring, "sqs:SendMessage", bell.queue_arn, condition)


def topic_policy(bell: S3Bell) -> Policy:
    """Who may publish to the topic: these buckets of this account."""
    return _policy(*(_from_bucket(bell, ring, "sns:Publish", bell.topic_arn) for ring in bell.rings))


def reader_policy(bell: S3Bell, *rings: Ring) -> Policy:
    """What whoever reads the queue and the objects may do, for these sources or all."""
    rings = rings or bell.rings
    read = [
        _allow(["s3:GetObject", "s3:GetObjectVersion"], bell.bucket_arns[ring.bucket] + f"/{_literal(ring.prefix)}*")
        for ring in rings
    ]
    buckets = dict.fromkeys(ring.bucket for ring in rings)
    listed = [_allow("s3:ListBucket", bell.bucket_arns[bucket]) for bucket in buckets]
    return _policy(_allow(list(READER_ACTIONS), bell.queue_arn), *read, *listed)


def _from_bucket(bell: S3Bell, ring: Ring, action: str, resource: Text) -> dict[str, Any]:
    condition = {
        "ArnEquals": {"aws:SourceArn": bell.bucket_arns[ring.bucket]},
        "StringEquals": {"aws:SourceAccount": bell.account},
    }
    return _from("s3", ring, action, resource, condition)


def _from(service: str, ring: Ring, action: str, resource: Text, condition: dict[str, Any]) -> dict[str, Any]:
    principal = {"Service": f"{service}.amazonaws.com"}
    return {"Sid": _statement_id(ring), **_allow(action, resource), "Principal": principal, "Condition": condition}


def _allow(action: str | list[str], resource: Text) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _policy(*statements: dict[str, Any]) -> Policy:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _literal(prefix: str) -> str:
    """The prefix as IAM takes it for itself (AWS manual): `*` and `?` are wildcards there, `$` opens a variable."""
    return _IAM_WILDCARDS.sub(lambda found: f"${{{found[0]}}}", prefix)
