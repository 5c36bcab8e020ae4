"""Notifications of GCS buckets as notices: what a message of Pub/Sub says of one object.

The attributes name the event, the bucket, the object and its generation; the payload, where the bucket's notifications
have one, is the object's whole resource (vendor documentation), from which the version is taken just as from a listing.
"""

from __future__ import annotations

import json
import re
from typing import Any

from roomledger.model import Observation, Rejected
from roomledger.queues import Message, Notification, uri_of
from roomledger.stores.gcs import observed

_THERE = ("OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE")
"""Events after which the generation is there. Metadata are no part of a version: to tell it once more is harmless."""

_GENERATION = re.compile(r"[0-9]{1,19}")
_MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")
_LARGEST = 2**63 - 1


def notifications(message: Message) -> list[Notification]:
    """The one notice of a message, whatever the event is. Raises Rejected.

    It wants a look after an event that says of no generation that it is there, as a deletion, and when the payload is
    not the resource that the attributes name.
    """
    event, bucket, key = (message.attributes.get(name) for name in ("eventType", "bucketId", "objectId"))
    if event is None or bucket is None or key is None:
        raise Rejected("not_an_event", "The message has no attributes eventType, bucketId and objectId.")
    uri = uri_of("gs", bucket, key)
    seen = _seen(bucket, message.body) if event in _THERE else None
    if seen and (seen.uri != uri or seen.version != message.attributes.get("objectGeneration")):
        seen = None
    return [Notification(uri, seen)]


def _seen(bucket: str, payload: bytes) -> Observation | None:
    """Read the resource, if it is one down to its last field: a look is always as good."""
    try:
        resource = json.loads(payload)
        seen = observed(bucket, resource) if _is_whole(resource) else None
    except (ValueError, RecursionError):
        return None
    return seen if seen and seen.modified_at.tzinfo and 0 <= seen.size_bytes <= _LARGEST else None


def _is_whole(resource: Any) -> bool:
    match resource:
        case {"name": str(), "generation": str(generation), "size": str(), "timeCreated": str()}:
            tag = resource.get("md5Hash")  # an object that was composed of others has none
            known = tag is None or (isinstance(tag, str) and _MD5.fullmatch(tag) is not None)
            return known and _GENERATION.fullmatch(generation) is not None
    return False
