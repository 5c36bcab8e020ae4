"""Applies a Google Cloud plan: changes what differs and reports each step."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud.storage import Bucket  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError, Step
from roomledger.provisioning.gcp.client import Google

TIMEOUT_S = 120.0
"""How long Google may not see a new grant: up to two minutes (Google's manual)."""
_PAUSE_S = 5.0
_DELETED_TOPIC = "_deleted-topic_"
"""Pub/Sub's name for the topic of a subscription whose topic was deleted (Google's manual)."""
_POLICY_VERSION = 3
"""The IAM policy version that includes conditions: writing back a policy read in an older version removes them."""
_UPDATED = ("ack_deadline_seconds", "message_retention_duration", "expiration_policy", "enable_exactly_once_delivery")
"""The fields of an existing subscription that are changed; all others stay."""


def apply(cloud: Google, plan: Document) -> Iterator[Step]:
    """Apply a plan of `gcp.plan.build_plan`.

    Raises `ProvisioningError`, and `CannotConfigure`, before any change when the subscription cannot be used.
    """
    topic, grants, wanted = plan["topic"]["name"], plan["grants"], plan["subscription"]
    buckets = {name: cloud.bucket(name) for name in plan["notifications"]}
    if subscription := _get(cloud, wanted["name"]):
        _check(wanted["name"], topic, subscription)
    yield _topic(cloud, topic)
    for grant in grants:
        if grant["resource"] == topic:
            yield _grant(cloud, **grant)
    yield from _subscription(cloud, wanted, subscription)
    for grant in grants:
        if grant["resource"] != topic and grant["member"]:
            yield _grant(cloud, **grant)
    for name, notifications in plan["notifications"].items():
        for notification in notifications:
            yield _notification(cloud, buckets[name], topic, notification)


def _get(cloud: Google, path: str) -> Any:
    """The existing topic or subscription, or None."""
    kind = path.split("/")[2]
    with cloud.errors(f"get {path} (pubsub.{kind}.get)"):
        try:
            if kind == "topics":
                return cloud.publisher.get_topic(topic=path)
            return cloud.subscriber.get_subscription(subscription=path)
        except NotFound:
            return None


def _check(path: str, topic: str, current: Any) -> None:
    """Raise `CannotConfigure` for a subscription that cannot receive the notifications."""
    another = "write another [[queue]] into the settings"
    if current.topic == _DELETED_TOPIC:
        raise CannotConfigure(f"the topic of {path} was deleted: delete the subscription too, and run this again")
    if current.topic != topic:
        raise CannotConfigure(
            f"{path} subscribes to topic {current.topic}, not to {topic}. Nothing was changed. Either use that topic "
            f"(--topic {current.topic.rpartition('/')[2]}), or {another}"
        )
    if current.push_config.push_endpoint or current.bigquery_config or current.cloud_storage_config:
        raise CannotConfigure(f"{path} is not a pull subscription: {another}")
    if current.filter:
        raise CannotConfigure(f"{path} filters its messages ({current.filter}): {another}")


def _topic(cloud: Google, path: str) -> Step:
    if _get(cloud, path):
        return Step(False, f"topic {path}")
    with cloud.errors(f"create {path} (pubsub.topics.create)"):
        cloud.publisher.create_topic(name=path)
    return Step(True, f"topic {path}: created")


def _subscription(cloud: Google, wanted: Document, current: Any) -> Iterator[Step]:
    from google.pubsub_v1 import Subscription

    path, subscription = wanted["name"], Subscription.from_json(json.dumps(wanted))
    if current is None:
        with cloud.errors(f"create {path} (pubsub.subscriptions.create)"):
            cloud.subscriber.create_subscription(request=subscription)
        yield Step(True, f"subscription {path}: created")
        return
    fields = {name: getattr(current, name) for name in _UPDATED}
    differing = {name: value for name, value in fields.items() if value != getattr(subscription, name)}
    if differing:
        with cloud.errors(f"update {path} (pubsub.subscriptions.update)"):
            mask = {"paths": list(differing)}
            cloud.subscriber.update_subscription(request={"subscription": subscription, "update_mask": mask})
    before = (f"{name}, was {' '.join(str(value).split()) or 'default'}" for name, value in differing.items())
    yield Step(bool(differing), f"subscription {path}{': ' if differing else ''}{', '.join(before)}")
    if dead_letters := current.dead_letter_policy.dead_letter_topic:
        yield Step(False, f"subscription {path}: has a dead-letter topic, {dead_letters}")


def _grant(cloud: Google, resource: str, role: str, member: str) -> Step:
    label = f"{resource}: {role} for {member}"
    with cloud.errors(f"grant {role} on {resource} (getIamPolicy, setIamPolicy)"):
        if resource.startswith("gs://"):
            bucket = cloud.bucket(resource.removeprefix("gs://"))
            policy = bucket.get_iam_policy(requested_policy_version=_POLICY_VERSION)
            for binding in policy.bindings:
                if binding["role"] == role and member in binding["members"] and not binding.get("condition"):
                    return Step(False, label)
            policy.bindings.append({"role": role, "members": {member}})
            bucket.set_iam_policy(policy)
        else:
            client = cloud.publisher if "/topics/" in resource else cloud.subscriber
            options = {"requested_policy_version": _POLICY_VERSION}
            policy = client.get_iam_policy(request={"resource": resource, "options": options})
            for binding in policy.bindings:
                if binding.role == role and member in binding.members and not binding.condition.expression:
                    return Step(False, label)
            policy.version = max(policy.version, 1)
            policy.bindings.add(role=role, members=[member])
            client.set_iam_policy(request={"resource": resource, "policy": policy})
    return Step(True, label)


def _notification(cloud: Google, bucket: Bucket, topic: str, wanted: Document) -> Step:
    events, prefix = wanted["event_types"], wanted.get("object_name_prefix")
    label = f"gs://{bucket.name}: {' and '.join(events)} of {prefix or 'all names'} to {topic}"
    with cloud.errors(f"list the notifications of bucket {bucket.name} (storage.buckets.get)"):
        existing = list(bucket.list_notifications())
    for notification in existing:
        if _covers(notification, wanted):
            return Step(False, f"{label} (notification {notification.notification_id})")
    _, project, _, name = topic.split("/")
    created = bucket.notification(
        topic_name=name,
        topic_project=project,
        event_types=events,
        blob_name_prefix=prefix,
        payload_format=wanted["payload_format"],
    )
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with cloud.errors(f"create a notification of bucket {bucket.name} (storage.buckets.update)"):
                created.create()
            return Step(True, f"{label} (notification {created.notification_id})")
        except ProvisioningError as error:
            # The storage service sees its new grant on the topic only after a while; the error then names the topic.
            if name not in str(error) or time.monotonic() + _PAUSE_S > deadline:
                raise
        time.sleep(_PAUSE_S)


def _covers(existing: Any, wanted: Document) -> bool:
    """Whether a notification sends at least what the wanted one would; no event types means all."""
    topic = f"//pubsub.googleapis.com/projects/{existing.topic_project}/topics/{existing.topic_name}"
    same = (topic, existing.payload_format) == (wanted["topic"], wanted["payload_format"])
    events = not existing.event_types or set(wanted["event_types"]) <= set(existing.event_types)
    return same and events and wanted.get("object_name_prefix", "").startswith(existing.blob_name_prefix or "")
