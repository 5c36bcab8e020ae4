"""What makes a GCS bucket ring: topic, subscription, notifications and grants, as the REST interfaces take them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from roomledger.cloud import CannotRing, Ring
from roomledger.cloud.choice import Choice

EVENT_TYPES = ("OBJECT_FINALIZE", "OBJECT_DELETE")
PAYLOAD_FORMAT = "JSON_API_V1"
ACK_DEADLINE_S = 120
"""A message is held for as long as a look-up may take."""
RETENTION_S = 7 * 24 * 60 * 60
PUBLISHER, SUBSCRIBER, VIEWER = "roles/pubsub.publisher", "roles/pubsub.subscriber", "roles/storage.objectViewer"
_NO_READER = (
    "Nobody was named who is to read: give --reader, such as serviceAccount:name@project.iam.gserviceaccount.com."
)
_NO_DEAD_LETTERS = (
    "The subscription has no dead-letter topic on purpose: a message that cannot be understood is kept as a refusal in "
    "the warehouse and acknowledged, and one whose object could not be looked up comes again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsBell:
    """Everything that has a name, with it."""

    rings: tuple[Ring, ...]
    project: str
    subscription: str
    """Name without its project, as that of the topic."""
    topic: str
    reader: str | None
    """Who reads, as IAM writes a member; None leaves it open."""

    @property
    def buckets(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys(ring.bucket for ring in self.rings))

    @property
    def topic_path(self) -> str:
        """`projects/<project>/topics/<topic>`."""
        return f"projects/{self.project}/topics/{self.topic}"

    @property
    def subscription_path(self) -> str:
        """`projects/<project>/subscriptions/<subscription>`."""
        return f"projects/{self.project}/subscriptions/{self.subscription}"


def bell_of(choice: Choice, *, project: str | None, topic: str | None, reader: str | None) -> GcsBell:
    """Give the bell in this project, or in the one that the queue's address names. Raises `CannotRing`."""
    subscription = choice.name
    if choice.queue:
        named = choice.queue.parts
        if project not in (None, named["project"]):
            raise CannotRing(f"queue {choice.queue.name} lies in project {named['project']}: leave out --project")
        project, subscription = named["project"], str(named["subscription"])
    if not project:
        raise CannotRing("no project is known to put the queue into: give --project, or write a [[queue]]")
    if reader is not None and ":" not in reader:
        raise CannotRing(f"--reader {reader}: write who it is, such as serviceAccount:{reader}")
    return GcsBell(
        rings=choice.rings, project=project, subscription=subscription, topic=topic or subscription, reader=reader
    )


def subscription(bell: GcsBell) -> dict[str, Any]:
    """The subscription; one without a time to live never expires."""
    return {
        "name": bell.subscription_path,
        "topic": bell.topic_path,
        "ackDeadlineSeconds": ACK_DEADLINE_S,
        "messageRetentionDuration": f"{RETENTION_S}s",
        "expirationPolicy": {},
        "enableExactlyOnceDelivery": False,
    }


def notification(bell: GcsBell, ring: Ring) -> dict[str, Any]:
    """The notification of one source."""
    told = {
        "topic": f"//pubsub.googleapis.com/{bell.topic_path}",
        "payload_format": PAYLOAD_FORMAT,
        "event_types": list(EVENT_TYPES),
    }
    return told | ({"object_name_prefix": ring.prefix} if ring.prefix else {})


def covers(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a notification that the bucket has brings all that the wanted one would; no event types are all."""
    events = not found.get("event_types") or set(wanted["event_types"]) <= set(found["event_types"])
    same = all(found.get(key) == wanted[key] for key in ("topic", "payload_format"))
    prefix = str(wanted.get("object_name_prefix", "")).startswith(found.get("object_name_prefix", ""))
    return events and same and prefix


def grants(bell: GcsBell, agents: Mapping[str, str]) -> list[dict[str, str | None]]:
    """Who needs which role on what; `agents` are the addresses of the storage service agents, by bucket."""
    publishers = dict.fromkeys(f"serviceAccount:{agents[bucket]}" for bucket in bell.buckets)
    told: list[tuple[str, str, str | None]] = [(bell.topic_path, PUBLISHER, publisher) for publisher in publishers]
    told += [(bell.subscription_path, SUBSCRIBER, bell.reader)]
    told += [(f"gs://{bucket}", VIEWER, bell.reader) for bucket in bell.buckets]
    return [{"resource": resource, "role": role, "member": member} for resource, role, member in told]


def notes(choice: Choice, reader: str | None) -> list[str]:
    """What a person should know before setting it."""
    told = [_NO_DEAD_LETTERS]
    if choice.neighbours:
        told.append(f"In the same buckets lie: {', '.join(choice.neighbours)}. Each needs a notification of its own.")
    return told if reader else [*told, _NO_READER]
