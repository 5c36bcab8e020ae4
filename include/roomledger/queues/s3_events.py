"""Notifications of S3 buckets as notices: what a message of SQS says of objects, however it came there.

S3 writes to the queue itself, or to an SNS topic that wraps the event in an envelope or hands it on raw, or to
EventBridge, whose rules bring it to the queue or to a topic: four shapes, and one of them may lie in another.
An event names key and ETag, but not the time of the object's last modification, which belongs to a version's identity:
so a notice always wants a look, after a creation as after a removal (vendor documentation).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from roomledger.model import Rejected
from roomledger.queues import Message, Notification, uri_of


def notifications(message: Message) -> list[Notification]:
    """One notice for each object that the message names, none for S3's test event. Raises Rejected."""
    return _notifications(message.body)


def _notifications(text: bytes | str) -> list[Notification]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Rejected("not_json", f"The message is no JSON: {error}.") from None
    if not isinstance(event, dict):
        raise Rejected("not_an_event", f"The message is no JSON object but a {type(event).__name__}.")
    match event:
        case {"Records": list(records)}:
            return [_of_record(record, number) for number, record in enumerate(records, 1)]
        case {"Event": "s3:TestEvent"}:  # sent when the notifications of a bucket are set up
            return []
        case {"detail-type": str(), "source": "aws.s3", "detail": detail}:
            return [_notification(detail, "EventBridge's detail", coded=False)]
        case {"Type": "Notification", "Message": str(inner)}:
            return _notifications(inner)
        case {"Type": "SubscriptionConfirmation", "TopicArn": topic}:
            raise Rejected(
                "not_confirmed",
                f"The topic {topic!r} brings no events before its subscription is confirmed: open the SubscribeURL of "
                "this message, or subscribe the queue as the owner of both.",
            )
    named = ", ".join(sorted(map(repr, event)))[:200] or "nothing"
    raise Rejected("not_an_event", f"The message is no event of S3, SNS or EventBridge: it names {named}.")


def _of_record(record: Any, number: int) -> Notification:
    found = record.get("s3") if isinstance(record, dict) else None
    return _notification(found, f"record {number}", coded=True)


def _notification(told: Any, where: str, *, coded: bool) -> Notification:
    """Take bucket and key. S3's own events have the key URL-encoded, EventBridge's have it as it is."""
    match told:
        case {"bucket": {"name": str(bucket)}, "object": {"key": str(key)}}:
            pass
        case _:
            raise Rejected("not_an_event", f"In the message {where} names no bucket and object.")
    try:
        return Notification(uri_of("s3", bucket, unquote_plus(key, errors="strict") if coded else key), None)
    except UnicodeDecodeError:
        raise Rejected("bad_address", f"In {where} the key {key[:200]!r} is not URL-encoded UTF-8.") from None
