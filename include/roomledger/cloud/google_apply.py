"""Setting what makes a GCS bucket ring, and telling step by step what was set and what was as it should be."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from roomledger.cloud import BellError, CannotRing, Ring, Step, google
from roomledger.cloud.google import GcsBell
from roomledger.cloud.google_client import Google

if TYPE_CHECKING:
    from google.cloud.storage import Bucket  # type: ignore[import-untyped]  # ships no types
    from google.pubsub_v1 import PublisherClient, SubscriberClient

PATIENCE_S = 120.0
"""For how long Google may not see a role that was given: it says two minutes."""
_PAUSE_S = 5.0
_DELETED = "_deleted-topic_"
"""What Pub/Sub calls the topic of a subscription when there is none any more (Google's manual)."""
_WITH_CONDITIONS = 3
"""The version of IAM policies that shows conditions: one that is read in an older version loses them when written."""


def apply(cloud: Google, bell: GcsBell, *, patience_s: float = PATIENCE_S) -> Iterator[Step]:
    """Set every part that is not as it should be. Raises `CannotRing` and `BellError`."""
    buckets = {name: cloud.bucket(name) for name in bell.buckets}
    agents = {name: cloud.agent(bucket) for name, bucket in buckets.items()}
    known = _checked_subscription(cloud, bell)
    yield _topic(cloud, bell)
    for agent in dict.fromkeys(agents.values()):
        yield _grant_queue(cloud, cloud.publisher, bell.topic_path, google.PUBLISHER, f"serviceAccount:{agent}")
    yield from _subscription(cloud, bell, known)
    if bell.reader:
        yield _grant_queue(cloud, cloud.subscriber, bell.subscription_path, google.SUBSCRIBER, bell.reader)
        for name, bucket in buckets.items():
            yield _grant_bucket(cloud, bucket, name, bell.reader)
    for ring in bell.rings:
        yield from _notification(cloud, bell, ring, buckets[ring.bucket], patience_s)


def _topic(cloud: Google, bell: GcsBell) -> Step:
    from google.api_core.exceptions import NotFound

    path = bell.topic_path
    with cloud.asked(f"look at {path} (pubsub.topics.get)"):
        try:
            cloud.publisher.get_topic(topic=path)
        except NotFound:
            pass
        else:
            return Step(False, f"topic {path}")
    with cloud.asked(f"create {path} (pubsub.topics.create)"):
        cloud.publisher.create_topic(name=path)
    return Step(True, f"topic {path}: created")


def _checked_subscription(cloud: Google, bell: GcsBell) -> Any:
    """The subscription that there is, or None. Raises `CannotRing` for one that could never hear."""
    from google.api_core.exceptions import NotFound

    path = bell.subscription_path
    with cloud.asked(f"look at {path} (pubsub.subscriptions.get)"):
        try:
            found = cloud.subscriber.get_subscription(subscription=path)
        except NotFound:
            return None
    if found.topic == _DELETED:
        raise CannotRing(f"{path} hears a topic that was deleted: delete the subscription too, and ring again")
    if found.topic != bell.topic_path:
        raise CannotRing(
            f"{path} hears topic {found.topic} and no other, and this would tell {bell.topic_path}. Nothing was "
            f"changed. Either use that topic (--topic {found.topic.rpartition('/')[2]}), or write another subscription "
            "into the settings"
        )
    if found.push_config.push_endpoint or found.bigquery_config or found.cloud_storage_config:
        raise CannotRing(f"{path} sends its messages away, so none can be fetched: write another into the settings")
    if found.filter:
        raise CannotRing(f"{path} filters its messages ({found.filter}): write another into the settings")
    return found


def _subscription(cloud: Google, bell: GcsBell, found: Any) -> Iterator[Step]:
    from google.pubsub_v1 import ExpirationPolicy, Subscription

    path = bell.subscription_path
    wanted = Subscription(
        name=path,
        topic=bell.topic_path,
        ack_deadline_seconds=google.ACK_DEADLINE_S,
        message_retention_duration=timedelta(seconds=google.RETENTION_S),
        expiration_policy=ExpirationPolicy(),  # there, but without a time: it never expires
        enable_exactly_once_delivery=False,
    )
    if found is None:
        with cloud.asked(f"create {path} (pubsub.subscriptions.create)"):
            cloud.subscriber.create_subscription(request=wanted)
        yield Step(True, f"subscription {path}: created")
        return
    before = {
        "ack_deadline_seconds": found.ack_deadline_seconds,
        "message_retention_duration": found.message_retention_duration,
        "expiration_policy": found.expiration_policy,
        "enable_exactly_once_delivery": found.enable_exactly_once_delivery,
    }
    wrong = [name for name, value in before.items() if value != getattr(wanted, name)]
    if wrong:
        with cloud.asked(f"change {path} (pubsub.subscriptions.update)"):
            cloud.subscriber.update_subscription(request={"subscription": wanted, "update_mask": {"paths": wrong}})
    changes = ", ".join(f"{name}, was {_shown(before[name])}" for name in wrong)
    yield Step(bool(wrong), f"subscription {path}{': ' + changes if changes else ''}")
    if found.dead_letter_policy.dead_letter_topic:
        yield Step(
            False, f"subscription {path}: keeps its dead-letter topic {found.dead_letter_policy.dead_letter_topic}"
        )


def _shown(value: Any) -> str:
    return " ".join(str(value).split()) or "default"


def _grant_queue(cloud: Google, client: PublisherClient | SubscriberClient, path: str, role: str, member: str) -> Step:
    with cloud.asked(f"grant {role} on {path} (getIamPolicy, setIamPolicy)"):
        options = {"requested_policy_version": _WITH_CONDITIONS}
        policy = client.get_iam_policy(request={"resource": path, "options": options})
        for binding in policy.bindings:
            if binding.role == role and member in binding.members and not binding.condition.expression:
                return Step(False, f"{path}: {role} for {member}")
        policy.version = max(policy.version, 1)
        policy.bindings.add(role=role, members=[member])
        client.set_iam_policy(request={"resource": path, "policy": policy})
    return Step(True, f"{path}: {role} for {member}")


def _grant_bucket(cloud: Google, bucket: Bucket, name: str, member: str) -> Step:
    with cloud.asked(f"grant {google.VIEWER} on bucket {name} (storage.buckets.getIamPolicy, setIamPolicy)"):
        policy = bucket.get_iam_policy(requested_policy_version=_WITH_CONDITIONS)
        for binding in policy.bindings:
            if binding["role"] == google.VIEWER and member in binding["members"] and not binding.get("condition"):
                return Step(False, f"gs://{name}: {google.VIEWER} for {member}")
        policy.bindings.append({"role": google.VIEWER, "members": {member}})
        bucket.set_iam_policy(policy)
    return Step(True, f"gs://{name}: {google.VIEWER} for {member}")


def _notification(cloud: Google, bell: GcsBell, ring: Ring, bucket: Bucket, patience_s: float) -> Iterator[Step]:
    wanted = google.notification(bell, ring)
    events = " and ".join(google.EVENT_TYPES)
    told = f"gs://{ring.bucket}: {events} of {ring.prefix or 'all names'} to {bell.topic_path}"
    with cloud.asked(f"list the notifications of bucket {ring.bucket} (storage.buckets.get)"):
        found = list(bucket.list_notifications())
    for each in found:
        if google.covers(_as_rest(each), wanted):
            yield Step(False, f"{told} (notification {each.notification_id})")
            return
    deadline = time.monotonic() + patience_s
    while True:
        try:
            with cloud.asked(f"make bucket {ring.bucket} ring (storage.buckets.update)"):
                made = bucket.notification(
                    topic_name=bell.topic,
                    topic_project=bell.project,
                    event_types=list(google.EVENT_TYPES),
                    blob_name_prefix=ring.prefix or None,
                    payload_format=google.PAYLOAD_FORMAT,
                )
                made.create()
        except BellError as error:
            # The storage service does not see for a while what it may do on the topic.
            if bell.topic not in str(error) or time.monotonic() + _PAUSE_S > deadline:
                raise
            time.sleep(_PAUSE_S)
        else:
            yield Step(True, f"{told} (notification {made.notification_id})")
            return


def _as_rest(found: Any) -> Mapping[str, Any]:
    told = {
        "topic": f"//pubsub.googleapis.com/projects/{found.topic_project}/topics/{found.topic_name}",
        "payload_format": found.payload_format,
        "event_types": found.event_types,
        "object_name_prefix": found.blob_name_prefix,
    }
    return {key: value for key, value in told.items() if value}
