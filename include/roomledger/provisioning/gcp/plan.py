"""What makes a GCS bucket ring, as one document: topic, subscription, notifications and grants, as in Google's REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from roomledger.provisioning import CannotConfigure, Document, Target
from roomledger.provisioning.selection import Choice

SUBSCRIPTION = {
    "ackDeadlineSeconds": 120,
    "messageRetentionDuration": f"{7 * 24 * 60 * 60}s",
    "expirationPolicy": {},
    "enableExactlyOnceDelivery": False,
}
"""A message is held for as long as a look-up may take. A policy without a time means that it never expires."""
PUBLISHER, SUBSCRIBER, VIEWER = "roles/pubsub.publisher", "roles/pubsub.subscriber", "roles/storage.objectViewer"


A_READER = "serviceAccount:name@project.iam.gserviceaccount.com"


class Names(NamedTuple):
    """What the parts are called, without their project."""

    project: str
    topic: str
    subscription: str


def names_of(choice: Choice, *, project: str | None, topic: str | None, reader: str | None) -> Names:
    """Name the parts in this project, or in that of the queue. Raises `CannotRing`, also for a reader that is none."""
    subscription = choice.name
    if choice.queue:
        named = choice.queue.parts
        if project not in (None, named["project"]):
            raise CannotConfigure(f"queue {choice.queue.name} lies in project {named['project']}: leave out --project")
        project, subscription = named["project"], str(named["subscription"])
    if not project:
        raise CannotConfigure("no project is known to put the queue into: give --project, or write a [[queue]]")
    if reader is not None and ":" not in reader:
        raise CannotConfigure(f"--reader {reader}: write who it is, such as serviceAccount:{reader}")
    return Names(project, topic or subscription, subscription)


def needed(choice: Choice, names: Names, *, reader: str | None, agents: Mapping[str, str]) -> Document:
    """Give what `roomledger bell gcs` prints; its help says what stands under which key.

    `agents` are the addresses of the storage service agents, by bucket. Who reads may be left open.
    """
    topic = f"projects/{names.project}/topics/{names.topic}"
    subscription = f"projects/{names.project}/subscriptions/{names.subscription}"
    told = f"//pubsub.googleapis.com/{topic}"
    publishers = dict.fromkeys(f"serviceAccount:{agents[bucket]}" for bucket in choice.buckets)
    grants: list[tuple[str, str, str | None]] = [(topic, PUBLISHER, publisher) for publisher in publishers]
    grants += [(subscription, SUBSCRIBER, reader)]
    grants += [(f"gs://{bucket}", VIEWER, reader) for bucket in choice.buckets]
    return {
        "topic": {"name": topic},
        "subscription": {"name": subscription, "topic": topic, **SUBSCRIPTION},
        "notifications": {
            bucket: [notification(ring, told) for ring in choice.rings if ring.bucket == bucket]
            for bucket in choice.buckets
        },
        "grants": [{"resource": resource, "role": role, "member": member} for resource, role, member in grants],
    }


def notification(ring: Target, topic: str) -> Document:
    """What tells a topic of the objects of one source."""
    told = {"topic": topic, "payload_format": "JSON_API_V1", "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"]}
    return told | ({"object_name_prefix": ring.prefix} if ring.prefix else {})


def notes(choice: Choice, reader: str | None) -> list[str]:
    """What a person should know before setting it."""
    told = [
        "The subscription has no dead-letter topic on purpose: a message that cannot be understood is kept as a "
        "refusal in the warehouse and acknowledged, and one whose object could not be looked up comes again."
    ]
    if choice.neighbours:
        told.append(f"In the same buckets lie: {', '.join(choice.neighbours)}. Each needs a notification of its own.")
    if not reader:
        told.append(f"Nobody was named who is to read: give --reader, such as {A_READER}.")
    return told
