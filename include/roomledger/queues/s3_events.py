"""Notifications of S3 buckets: the objects that a message of SQS names, on any path to the queue.

S3 writes to the queue itself, or to an SNS topic, which wraps the event in an envelope or forwards it raw, or to
EventBridge, whose rules send it to the queue or to a topic: four shapes, and one may be nested in another. An event
names key and ETag, but not the time of the last modification, which is part of a version's identity: so the object must
always be inspected, after a creation and after a deletion (vendor documentation).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from roomledger.model import Rejected
from roomledger.queues import Message, Notification, uri_of


def notifications(message: Message) -> list[Notification]:
    """Return one notification per object that the message names, none for S3's test event. Raises `Rejected`."""
    return _notifications(message.body)


def _notifications(text: bytes | str) -> list[Notification]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise Rejected("not_json", "The message is not JSON.") from None
    if not isinstance(event, dict):
        raise Rejected("not_an_event", "The message is JSON, but not an object.")
    match event:
        case {"Records": list(records)}:
            return [_of_record(record, number) for number, record in enumerate(records, 1)]
        case {"Event": "s3:TestEvent"}:  # sent when the notifications of a bucket are set up
            return []
        case {"detail-type": str(), "source": "aws.s3", "detail": detail}:
            return [_notification(detail, "the detail of EventBridge", encoded=False)]
        case {"Type": "Notification", "Message": str(inner)}:
            return _notifications(inner)
        case {"Type": "SubscriptionConfirmation", "TopicArn": topic}:
            raise Rejected(
                "not_confirmed",
                f"The topic {topic!r} sends no events until its subscription is confirmed: open the SubscribeURL of "
                "this message, or subscribe the queue as the owner of both.",
            )
    keys = ", ".join(sorted(map(repr, event)))[:200] or "nothing"
    raise Rejected("not_an_event", f"The message is not an event of S3, SNS or EventBridge: its keys are {keys}.")


def _of_record(record: Any, number: int) -> Notification:
    found = record.get("s3") if isinstance(record, dict) else None
    return _notification(found, f"record {number}", encoded=True)


def _notification(detail: Any, where: str, *, encoded: bool) -> Notification:
    """Return the notification of one object. S3's own events have URL-encoded keys, those of EventBridge do not."""
    match detail:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}:
            pass
        case _:
            raise Rejected("not_an_event", f"In the message {where} names no bucket and object.")
    try:
        return Notification(uri_of("s3", bucket, unquote_plus(key, errors="strict") if encoded else key), None)
    except UnicodeDecodeError:
        raise Rejected("bad_address", f"In {where} the key {key[:200]!r} is not URL-encoded UTF-8.") from None
