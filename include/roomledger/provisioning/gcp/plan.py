"""The configuration that makes GCS buckets notify a Pub/Sub subscription, as one document in Google's REST shapes.

`deploy/terraform/gcp` configures the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from roomledger.provisioning import CannotConfigure, Document, Target
from roomledger.provisioning.selection import Selection

SUBSCRIPTION = {
    "ackDeadlineSeconds": 120,
    "messageRetentionDuration": f"{7 * 24 * 60 * 60}s",
    "expirationPolicy": {},
    "enableExactlyOnceDelivery": False,
}
"""The ack deadline leaves time to check the object. An empty expiration policy means that it never expires."""
PUBLISHER, SUBSCRIBER, VIEWER = "roles/pubsub.publisher", "roles/pubsub.subscriber", "roles/storage.objectViewer"
_READER = "serviceAccount:name@project.iam.gserviceaccount.com"


class Names(NamedTuple):
    """Resource names without their project."""

    project: str
    topic: str
    subscription: str


def resource_names(selection: Selection, *, project: str | None, topic: str | None, reader: str | None) -> Names:
    """Return the names in the queue's project, or else in `project`.

    Raises `CannotConfigure`, also for a `reader` that is not an IAM member.
    """
    subscription = selection.name
    if selection.queue:
        parts = selection.queue.parts
        if project not in (None, parts["project"]):
            raise CannotConfigure(f"queue {selection.queue.name} is in project {parts['project']}: omit --project")
        project, subscription = parts["project"], str(parts["subscription"])
    if not project:
        raise CannotConfigure("no project for the queue: use --project, or write a [[queue]]")
    if reader is not None and ":" not in reader:
        raise CannotConfigure(f"--reader {reader} is not an IAM member: use for example serviceAccount:{reader}")
    return Names(project, topic or subscription, subscription)


def build_plan(selection: Selection, names: Names, *, reader: str | None, agents: Mapping[str, str]) -> Document:
    """Return what `roomledger notifications gcs` prints; its help explains the keys.

    `agents` are the addresses of the storage service agents, by bucket. Without `reader` its grants have no member.
    """
    topic = f"projects/{names.project}/topics/{names.topic}"
    subscription = f"projects/{names.project}/subscriptions/{names.subscription}"
    publishers = dict.fromkeys(f"serviceAccount:{agents[bucket]}" for bucket in selection.buckets)
    grants: list[tuple[str, str, str | None]] = [(topic, PUBLISHER, publisher) for publisher in publishers]
    grants += [(subscription, SUBSCRIBER, reader)]
    grants += [(f"gs://{bucket}", VIEWER, reader) for bucket in selection.buckets]
    return {
        "topic": {"name": topic},
        "subscription": {"name": subscription, "topic": topic, **SUBSCRIPTION},
        "notifications": {
            bucket: [notification(target, topic) for target in selection.targets if target.bucket == bucket]
            for bucket in selection.buckets
        },
        "grants": [{"resource": resource, "role": role, "member": member} for resource, role, member in grants],
    }


def notification(target: Target, topic: str) -> Document:
    """Return the notification of one source to the topic of this path."""
    document: Document = {
        "topic": f"//pubsub.googleapis.com/{topic}",
        "payload_format": "JSON_API_V1",
        "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"],
    }
    return document | ({"object_name_prefix": target.prefix} if target.prefix else {})


def notes(reader: str | None) -> list[str]:
    """What to know before applying the plan."""
    dead_letters = (
        "The subscription has no dead-letter topic on purpose: a rejected message is stored as a refusal in the "
        "warehouse and acknowledged; a message whose object could not be checked is delivered again."
    )
    return [dead_letters] if reader else [dead_letters, f"The plan has no reader: use --reader, such as {_READER}."]
