"""Notifications of GCS buckets: what a message of Pub/Sub states about one object.

The attributes name the event, the bucket, the object and its generation. The payload, if the bucket's notifications
have one, is the object's whole resource (vendor documentation); it gives the same version as a listing.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from roomledger.model import Observation, Rejected
from roomledger.queues import Message, Notification, uri_of

_EXISTS = ("OBJECT_FINALIZE", "OBJECT_METADATA_UPDATE")
"""Events after which the generation exists. A change of metadata makes no new version and may be repeated."""

_GENERATION = re.compile(r"[0-9]{1,19}")
_MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")
_MAX_SIZE = 2**63 - 1


def notifications(message: Message) -> list[Notification]:
    """Return the one notification of a message, for any event. Raises `Rejected`.

    It names no version after any other event, such as a deletion, or when the payload is not the resource that the
    attributes name: the object has to be inspected then.
    """
    event, bucket, key = (message.attributes.get(name) for name in ("eventType", "bucketId", "objectId"))
    if event is None or bucket is None or key is None:
        raise Rejected("not_an_event", "The message has no attributes eventType, bucketId and objectId.")
    uri = uri_of("gs", bucket, key)
    seen = _version(bucket, message.body) if event in _EXISTS else None
    if seen and (seen.uri != uri or seen.version != message.attributes.get("objectGeneration")):
        seen = None
    return [Notification(uri, seen)]


def _version(bucket: str, payload: bytes) -> Observation | None:
    """Return the version of the resource if all its fields are valid; otherwise the object is inspected."""
    try:
        resource = json.loads(payload)
        seen = _observed(bucket, resource) if _is_valid(resource) else None
    except (ValueError, RecursionError):
        return None
    return seen if seen and seen.modified_at.tzinfo and 0 <= seen.size_bytes <= _MAX_SIZE else None


def _is_valid(resource: Any) -> bool:
    match resource:
        case {"name": str(), "generation": str(generation), "size": str(), "timeCreated": str()}:
            tag = resource.get("md5Hash")  # a composite object has none
            known = tag is None or (isinstance(tag, str) and _MD5.fullmatch(tag) is not None)
            return known and _GENERATION.fullmatch(generation) is not None
    return False


def _observed(bucket: str, resource: dict[str, Any]) -> Observation:
    # The creation time of a generation is fixed; `updated` changes with the object's metadata.
    created_at = datetime.fromisoformat(resource["timeCreated"])
    uri = f"gs://{bucket}/{resource['name']}"
    return Observation(uri, resource["generation"], created_at, int(resource["size"]), resource.get("md5Hash"))
