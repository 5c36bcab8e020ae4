"""Messages of GCS in Pub/Sub: the versions that they name, and when the object must be inspected instead."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomledger.model import Observation, Rejected
from roomledger.queues import Message, Notification
from roomledger.queues.gcs_events import notifications

KEY = "live/chat/Zoë 日本 100%.csv"
URI = f"gs://acme-recordings/{KEY}"
GENERATION = "1772452800123456"
ATTRIBUTES = {
    "notificationConfig": "projects/_/buckets/acme-recordings/notificationConfigs/1",
    "eventType": "OBJECT_FINALIZE",
    "payloadFormat": "JSON_API_V1",
    "bucketId": "acme-recordings",
    "objectId": KEY,
    "objectGeneration": GENERATION,
    "eventTime": "2026-03-02T12:00:00.456789Z",
}
RESOURCE = {
    "kind": "storage#object",
    "id": f"acme-recordings/{KEY}/{GENERATION}",
    "name": KEY,
    "bucket": "acme-recordings",
    "generation": GENERATION,
    "metageneration": "1",
    "contentType": "text/csv",
    "timeCreated": "2026-03-02T12:00:00.123Z",
    "updated": "2026-03-02T12:34:56.789Z",
    "size": "42",
    "md5Hash": "1B2M2Y8AsgTpgAmY7PhCfg==",
}
SEEN = Observation(URI, GENERATION, datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC), 42, "1B2M2Y8AsgTpgAmY7PhCfg==")
INSPECT = [Notification(URI, None)]


def decode(resource: Any = RESOURCE, **attributes: str | None) -> list[Notification]:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    values = {name: value for name, value in (ATTRIBUTES | attributes).items() if value is not None}
    return notifications(Message("m-1", body, values, "receipt"))


@pytest.mark.parametrize("event", ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE"])
def test_an_event_of_an_existing_object_names_its_version(event: str) -> None:
    assert decode(eventType=event) == [Notification(URI, SEEN)]


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_OF_NEXT_YEAR"])
def test_any_other_event_requires_an_inspection(event: str) -> None:
    assert decode(eventType=event) == INSPECT


def test_a_composite_object_has_no_content_tag() -> None:
    [notification] = decode({name: value for name, value in RESOURCE.items() if name != "md5Hash"})
    assert notification.seen is not None
    assert notification.seen.content_tag is None
    assert notification.seen.object_id == SEEN.object_id


WRONG = {
    "none": b"",
    "not JSON": b"{",
    "too deep": b"[" * 100_000,
    "not a resource": [],
    "of another object": RESOURCE | {"name": "other"},
    "of another generation": RESOURCE | {"generation": "1772452800999999"},
    "no generation": RESOURCE | {"generation": None},
    "an invalid generation": RESOURCE | {"generation": "latest"},
    "an invalid time": RESOURCE | {"timeCreated": "yesterday"},
    "a time without time zone": RESOURCE | {"timeCreated": "2026-03-02T12:00:00"},
    "an invalid size": RESOURCE | {"size": "big"},
    "a negative size": RESOURCE | {"size": "-1"},
    "a size that is too large": RESOURCE | {"size": str(2**63)},
    "a size of 5000 digits": RESOURCE | {"size": "9" * 5000},
    "a size that is a number": RESOURCE | {"size": 42.5},
    "an invalid MD5": RESOURCE | {"md5Hash": "\0"},
    "an MD5 that is a number": RESOURCE | {"md5Hash": 3},
}


@pytest.mark.parametrize("payload", WRONG)
def test_a_payload_that_is_not_the_resource_requires_an_inspection(payload: str) -> None:
    assert decode(WRONG[payload]) == INSPECT


def test_a_message_without_payload_requires_an_inspection() -> None:
    assert decode(b"", payloadFormat="NONE") == INSPECT


@pytest.mark.parametrize("name", ["eventType", "bucketId", "objectId"])
def test_a_message_without_its_attributes_is_rejected(name: str) -> None:
    with pytest.raises(Rejected) as rejected:
        decode(**{name: None})
    assert rejected.value.reason_code == "not_an_event"


@pytest.mark.parametrize(
    "names", [{"bucketId": ""}, {"bucketId": "a/b"}, {"objectId": ""}, {"objectId": "x" * 1025}, {"objectId": "a\0"}]
)
def test_an_address_that_no_bucket_can_have_is_rejected(names: dict[str, str]) -> None:
    with pytest.raises(Rejected) as rejected:
        decode(**names)
    assert rejected.value.reason_code == "bad_address"


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.none(), max_size=1)


@settings(deadline=None)
@given(st.binary() | st.tuples(st.sampled_from(sorted(RESOURCE)), VALUES).map(lambda field: RESOURCE | dict([field])))
def test_any_payload_names_the_version_or_requires_an_inspection(payload: Any) -> None:
    [notification] = decode(payload)
    assert notification.uri == URI
    if notification.seen is not None:
        assert notification.seen.version == GENERATION
        assert len(notification.seen.object_id) == 32
        assert 0 <= notification.seen.size_bytes < 2**63


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=20)))
def test_any_attributes_are_decoded_or_rejected(attributes: dict[str, str]) -> None:
    try:
        [notification] = notifications(Message("m-1", json.dumps(RESOURCE).encode(), attributes, "receipt"))
        result = notification.uri[:5]
    except Rejected as rejected:
        result = rejected.reason_code
    assert result in {"gs://", "not_an_event", "bad_address"}
