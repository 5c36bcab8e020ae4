"""What Pub/Sub brings of GCS: the versions that messages name, and when a look is wanted instead."""

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
LOOK = [Notification(URI, None)]


def understood(resource: Any = RESOURCE, **attributes: str | None) -> list[Notification]:
    body = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    given = {name: value for name, value in (ATTRIBUTES | attributes).items() if value is not None}
    return notifications(Message("m-1", body, given, "receipt"))


@pytest.mark.parametrize("event", ["OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE"])
def test_an_event_of_what_is_there_names_its_version(event: str) -> None:
    assert understood(eventType=event) == [Notification(URI, SEEN)]


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_OF_NEXT_YEAR"])
def test_any_other_event_wants_a_look(event: str) -> None:
    assert understood(eventType=event) == LOOK


def test_an_object_composed_of_others_has_no_content_tag() -> None:
    [notice] = understood({name: value for name, value in RESOURCE.items() if name != "md5Hash"})
    assert notice.seen is not None
    assert notice.seen.content_tag is None
    assert notice.seen.object_id == SEEN.object_id


WRONG = {
    "none": b"",
    "no JSON": b"{",
    "too deep": b"[" * 100_000,
    "no resource": [],
    "of another object": RESOURCE | {"name": "other"},
    "of another generation": RESOURCE | {"generation": "1772452800999999"},
    "no generation": RESOURCE | {"generation": None},
    "a generation that is none": RESOURCE | {"generation": "latest"},
    "no time": RESOURCE | {"timeCreated": "yesterday"},
    "a time of nowhere": RESOURCE | {"timeCreated": "2026-03-02T12:00:00"},
    "no size": RESOURCE | {"size": "big"},
    "a negative size": RESOURCE | {"size": "-1"},
    "a size that no database holds": RESOURCE | {"size": str(2**63)},
    "a size without end": RESOURCE | {"size": "9" * 5000},
    "a size that is a number": RESOURCE | {"size": 42.5},
    "an MD5 that is none": RESOURCE | {"md5Hash": "\0"},
    "an MD5 that is a number": RESOURCE | {"md5Hash": 3},
}


@pytest.mark.parametrize("payload", WRONG)
def test_a_payload_that_is_not_the_resource_wants_a_look(payload: str) -> None:
    assert understood(WRONG[payload]) == LOOK


def test_a_message_without_payload_wants_a_look() -> None:
    assert understood(b"", payloadFormat="NONE") == LOOK


@pytest.mark.parametrize("name", ["eventType", "bucketId", "objectId"])
def test_a_message_without_its_attributes_is_no_event(name: str) -> None:
    with pytest.raises(Rejected) as refusal:
        understood(**{name: None})
    assert refusal.value.reason_code == "not_an_event"


@pytest.mark.parametrize(
    "names", [{"bucketId": ""}, {"bucketId": "a/b"}, {"objectId": ""}, {"objectId": "x" * 1025}, {"objectId": "a\0"}]
)
def test_an_address_that_no_bucket_can_hold_is_refused(names: dict[str, str]) -> None:
    with pytest.raises(Rejected) as refusal:
        understood(**names)
    assert refusal.value.reason_code == "bad_address"


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.none(), max_size=1)


@settings(deadline=None)
@given(st.binary() | st.tuples(st.sampled_from(sorted(RESOURCE)), VALUES).map(lambda field: RESOURCE | dict([field])))
def test_any_payload_names_the_version_or_wants_a_look(payload: Any) -> None:
    [notice] = understood(payload)
    assert notice.uri == URI
    if notice.seen is not None:
        assert notice.seen.version == GENERATION
        assert len(notice.seen.object_id) == 32
        assert 0 <= notice.seen.size_bytes < 2**63


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=20)))
def test_any_attributes_are_understood_or_refused(attributes: dict[str, str]) -> None:
    try:
        [notice] = notifications(Message("m-1", json.dumps(RESOURCE).encode(), attributes, "receipt"))
        told = notice.uri[:5]
    except Rejected as refusal:
        told = refusal.reason_code
    assert told in {"gs://", "not_an_event", "bad_address"}
