"""Messages of S3 in SQS: every shape of an event, and messages that are rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomledger.model import Rejected
from roomledger.queues import Message, Notification
from roomledger.queues.s3_events import notifications


def message(body: bytes) -> Message:
    return Message("m-1", body, {}, "receipt")


def decode(event: Any) -> list[Notification]:
    return notifications(message(json.dumps(event).encode()))


def record(key: str = "live/chat/Rec-1.csv", event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """A record as S3 writes it, without fields that are the same in all events."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-03-02T12:00:00.000Z",
        "eventName": event,
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "new recordings",
            "bucket": {"name": "acme-recordings", "arn": "arn:aws:s3:::acme-recordings"},
            "object": {"key": key, "size": 12, "eTag": "0" * 32, "sequencer": "0055AED6DCD90281E5"},
        },
    }


def s3(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def sns(event: Any) -> dict[str, Any]:
    return {
        "Type": "Notification",
        "MessageId": "5f7c2c2e-0000-4000-8000-000000000000",
        "TopicArn": "arn:aws:sns:eu-central-1:000000000000:recordings",
        "Subject": "Amazon S3 Notification",
        "Message": json.dumps(event),
        "Timestamp": "2026-03-02T12:00:01.000Z",
    }


def event_bridge(key: str = "live/chat/Rec-1.csv", type_: str = "Object Created") -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-0000-4000-8000-000000000000",
        "detail-type": type_,
        "source": "aws.s3",
        "account": "000000000000",
        "time": "2026-03-02T12:00:00Z",
        "region": "eu-central-1",
        "resources": ["arn:aws:s3:::acme-recordings"],
        "detail": {
            "version": "0",
            "bucket": {"name": "acme-recordings"},
            "object": {"key": key, "size": 12, "etag": "0" * 32, "sequencer": "0055AED6DCD90281E5"},
            "reason": "PutObject",
        },
    }


TEST_EVENT = {
    "Service": "Amazon S3",
    "Event": "s3:TestEvent",
    "Time": "2026-03-02T12:00:00.000Z",
    "Bucket": "acme-recordings",
}
ONE = Notification("s3://acme-recordings/live/chat/Rec-1.csv", None)

SHAPES = {
    "direct": (s3(record()), [ONE]),
    "sns": (sns(s3(record())), [ONE]),
    "event bridge": (event_bridge(), [ONE]),
    "event bridge through sns": (sns(event_bridge()), [ONE]),
    "sns through sns": (sns(sns(s3(record()))), [ONE]),
    "several records": (s3(record("a"), record("b")), [ONE._replace(uri=f"s3://acme-recordings/{k}") for k in "ab"]),
    "several records through sns": (sns(s3(record(), record())), [ONE, ONE]),
    "no records": (s3(), []),
    "test event": (TEST_EVENT, []),
    "test event through sns": (sns(TEST_EVENT), []),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_names_its_objects(shape: str) -> None:
    event, expected = SHAPES[shape]
    assert decode(event) == expected


@pytest.mark.parametrize(
    "name",
    [
        "ObjectCreated:Put",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectRemoved:Delete",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRestore:Completed",
        "LifecycleExpiration:Delete",
        "SomethingNew:OfNextYear",
    ],
)
def test_any_event_of_an_object_requires_an_inspection(name: str) -> None:
    assert decode(s3(record(event=name))) == [ONE]


@pytest.mark.parametrize("type_", ["Object Created", "Object Deleted", "Object Restore Completed", "Object Tags Added"])
def test_any_eventbridge_event_of_an_object_requires_an_inspection(type_: str) -> None:
    assert decode(event_bridge(type_=type_)) == [ONE]


KEYS = {
    "a+b.csv": "a b.csv",
    "a%2Bb.csv": "a+b.csv",
    "100%25": "100%",
    "100%2525": "100%25",
    "slash%2Fcoded": "slash/coded",
    "Zo%C3%AB/%E6%97%A5%E6%9C%AC": "Zoë/日本",
    "/leading//two/": "/leading//two/",
    "q%3Fx%3D1%26y%23z": "q?x=1&y#z",
}


@pytest.mark.parametrize("encoded", KEYS)
def test_s3_encodes_its_keys_and_eventbridge_does_not(encoded: str) -> None:
    assert decode(s3(record(encoded))) == [Notification(f"s3://acme-recordings/{KEYS[encoded]}", None)]
    assert decode(event_bridge(encoded)) == [Notification(f"s3://acme-recordings/{encoded}", None)]


def changed(**fields: Any) -> dict[str, Any]:
    return s3(record() | {"s3": record()["s3"] | fields})


REJECTED = {
    "nothing": (b"", "not_json"),
    "not JSON": (b"{'Records': []}", "not_json"),
    "not text": (b"\xff\xfe\x00", "not_json"),
    "too deep": (b"[" * 100_000, "not_json"),
    "not an object": (b"[]", "not_an_event"),
    "another object": (b'{"hello": "world"}', "not_an_event"),
    "another event of EventBridge": (json.dumps(event_bridge() | {"source": "aws.ec2"}).encode(), "not_an_event"),
    "an event without detail": (json.dumps(event_bridge() | {"detail": []}).encode(), "not_an_event"),
    "garbage in an envelope": (json.dumps(sns(None) | {"Message": "hello"}).encode(), "not_json"),
    "no message in an envelope": (json.dumps(sns(None) | {"Message": {}}).encode(), "not_an_event"),
    "a subscription to confirm": (json.dumps(sns(1) | {"Type": "SubscriptionConfirmation"}).encode(), "not_confirmed"),
    "a record of another service": (b'{"Records": [{"eventSource": "aws:ses", "ses": {}}]}', "not_an_event"),
    "a record that is not an object": (b'{"Records": [3]}', "not_an_event"),
    "no bucket": (json.dumps(changed(bucket={})).encode(), "not_an_event"),
    "an empty bucket": (json.dumps(changed(bucket={"name": ""})).encode(), "bad_address"),
    "a bucket that is a path": (json.dumps(changed(bucket={"name": "a/b"})).encode(), "bad_address"),
    "no key": (json.dumps(changed(object={"key": None})).encode(), "not_an_event"),
    "an empty key": (json.dumps(changed(object={"key": ""})).encode(), "bad_address"),
    "a key that is too long": (json.dumps(changed(object={"key": "x" * 1025})).encode(), "bad_address"),
    "a key that is not UTF-8": (json.dumps(changed(object={"key": "%FF"})).encode(), "bad_address"),
    "a key that is not text": (json.dumps(event_bridge("\ud800")).encode(), "bad_address"),
    "a key with a NUL": (json.dumps(changed(object={"key": "a%00b"})).encode(), "bad_address"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_message_that_is_not_an_event_is_rejected_with_a_reason(case: str) -> None:
    body, reason = REJECTED[case]
    with pytest.raises(Rejected) as rejected:
        notifications(message(body))
    assert rejected.value.reason_code == reason
    assert rejected.value.detail.endswith(".")


def test_one_bad_record_rejects_the_message() -> None:
    with pytest.raises(Rejected, match="record 2 names no bucket"):
        decode(s3(record(), {}))


KNOWN = {"s3://", "not_json", "not_an_event", "bad_address", "not_confirmed"}


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_decoded_or_rejected(body: bytes) -> None:
    assert decoded(body) <= KNOWN


NAMES = st.sampled_from(
    [
        *("Records", "s3", "bucket", "object", "name", "key", "Event", "s3:TestEvent", "detail", "detail-type"),
        *("source", "aws.s3", "Type", "Message", "Notification", "SubscriptionConfirmation", "TopicArn"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5),
    max_leaves=15,
)


@settings(deadline=None)
@given(JSON)
def test_any_json_is_decoded_or_rejected(event: Any) -> None:
    for layered in (event, sns(event), s3(event), event_bridge() | {"detail": event}, changed(object=event)):
        assert decoded(json.dumps(layered).encode()) <= KNOWN


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=200))
def test_eventbridge_does_not_encode_any_key(key: str) -> None:
    assert decode(event_bridge(key)) == [Notification(f"s3://acme-recordings/{key}", None)]


def decoded(body: bytes) -> set[str]:
    """The schemes of the notifications, or the reason of the rejection."""
    try:
        return {one.uri[:5] for one in notifications(message(body))}
    except Rejected as rejected:
        return {rejected.reason_code}
