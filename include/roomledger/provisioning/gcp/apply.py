"""Setting what makes a GCS bucket ring, and telling step by step what was set and what was as it should be."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError, Step
from roomledger.provisioning.gcp.client import Google

if TYPE_CHECKING:
    from google.cloud.storage import Bucket  # type: ignore[import-untyped]  # ships no types

PATIENCE_S = 120.0
"""For how long Google may not see a role that was given: it says two minutes."""
_PAUSE_S = 5.0
_DELETED = "_deleted-topic_"
"""What Pub/Sub calls the topic of a subscription when there is none any more (Google's manual)."""
_WITH_CONDITIONS = 3
"""The version of IAM policies that shows conditions: one that is read in an older version loses them when written."""
_SET = ("ack_deadline_seconds", "message_retention_duration", "expiration_policy", "enable_exactly_once_delivery")
"""What of a subscription that there is already is set; all else stays as it was."""


def apply(cloud: Google, parts: Document) -> Iterator[Step]:
    """Set every part that is not as it should be; see `google.needed` for them. Raises `CannotRing` and `BellError`."""
    topic, grants = parts["topic"]["name"], parts["grants"]
    buckets = {name: cloud.bucket(name) for name in parts["notifications"]}
    if found := _found(cloud, parts["subscription"]["name"]):
        _check(parts["subscription"]["name"], topic, found)
    yield _topic(cloud, topic)
    for grant in grants:
        if grant["resource"] == topic:
            yield _grant(cloud, **grant)
    yield from _subscription(cloud, parts["subscription"], found)
    for grant in grants:
        if grant["resource"] != topic and grant["member"]:
            yield _grant(cloud, **grant)
    for name, wanted in parts["notifications"].items():
        for each in wanted:
            yield _notification(cloud, buckets[name], topic, each)


def _found(cloud: Google, path: str) -> Any:
    """The topic or subscription that there is, or None."""
    from google.api_core.exceptions import NotFound

    kind = path.split("/")[2]
    with cloud.asked(f"look at {path} (pubsub.{kind}.get)"):
        try:
            if kind == "topics":
                return cloud.publisher.get_topic(topic=path)
            return cloud.subscriber.get_subscription(subscription=path)
        except NotFound:
            return None


def _check(path: str, topic: str, found: Any) -> None:
    """Raise `CannotRing` for a subscription that could never hear."""
    if found.topic == _DELETED:
        raise CannotConfigure(f"{path} hears a topic that was deleted: delete the subscription too, and ring again")
    if found.topic != topic:
        raise CannotConfigure(
            f"{path} hears topic {found.topic} and no other, and this would tell {topic}. Nothing was changed. Either "
            f"use that topic (--topic {found.topic.rpartition('/')[2]}), or write another subscription into the "
            "settings"
        )
    if found.push_config.push_endpoint or found.bigquery_config or found.cloud_storage_config:
        raise CannotConfigure(
            f"{path} sends its messages away, so none can be fetched: write another into the settings"
        )
    if found.filter:
        raise CannotConfigure(f"{path} filters its messages ({found.filter}): write another into the settings")


def _topic(cloud: Google, path: str) -> Step:
    if _found(cloud, path):
        return Step(False, f"topic {path}")
    with cloud.asked(f"create {path} (pubsub.topics.create)"):
        cloud.publisher.create_topic(name=path)
    return Step(True, f"topic {path}: created")


def _subscription(cloud: Google, wanted: Document, found: Any) -> Iterator[Step]:
    from google.pubsub_v1 import Subscription

    path, whole = wanted["name"], Subscription.from_json(json.dumps(wanted))
    if found is None:
        with cloud.asked(f"create {path} (pubsub.subscriptions.create)"):
            cloud.subscriber.create_subscription(request=whole)
        yield Step(True, f"subscription {path}: created")
        return
    wrong = {name: getattr(found, name) for name in _SET if getattr(found, name) != getattr(whole, name)}
    if wrong:
        with cloud.asked(f"change {path} (pubsub.subscriptions.update)"):
            mask = {"paths": list(wrong)}
            cloud.subscriber.update_subscription(request={"subscription": whole, "update_mask": mask})
    before = (f"{name}, was {' '.join(str(value).split()) or 'default'}" for name, value in wrong.items())
    yield Step(bool(wrong), f"subscription {path}{': ' if wrong else ''}{', '.join(before)}")
    if letters := found.dead_letter_policy.dead_letter_topic:
        yield Step(False, f"subscription {path}: keeps its dead-letter topic {letters}")


def _grant(cloud: Google, resource: str, role: str, member: str) -> Step:
    told = f"{resource}: {role} for {member}"
    with cloud.asked(f"grant {role} on {resource} (getIamPolicy, setIamPolicy)"):
        if resource.startswith("gs://"):
            bucket = cloud.bucket(resource.removeprefix("gs://"))
            policy = bucket.get_iam_policy(requested_policy_version=_WITH_CONDITIONS)
            for given in policy.bindings:
                if given["role"] == role and member in given["members"] and not given.get("condition"):
                    return Step(False, told)
            policy.bindings.append({"role": role, "members": {member}})
            bucket.set_iam_policy(policy)
        else:
            client = cloud.publisher if "/topics/" in resource else cloud.subscriber
            options = {"requested_policy_version": _WITH_CONDITIONS}
            policy = client.get_iam_policy(request={"resource": resource, "options": options})
            for given in policy.bindings:
                if given.role == role and member in given.members and not given.condition.expression:
                    return Step(False, told)
            policy.version = max(policy.version, 1)
            policy.bindings.add(role=role, members=[member])
            client.set_iam_policy(request={"resource": resource, "policy": policy})
    return Step(True, told)


def _notification(cloud: Google, bucket: Bucket, topic: str, wanted: Document) -> Step:
    events, prefix = wanted["event_types"], wanted.get("object_name_prefix")
    told = f"gs://{bucket.name}: {' and '.join(events)} of {prefix or 'all names'} to {topic}"
    with cloud.asked(f"list the notifications of bucket {bucket.name} (storage.buckets.get)"):
        found = list(bucket.list_notifications())
    for each in found:
        if _covers(each, wanted):
            return Step(False, f"{told} (notification {each.notification_id})")
    _, project, _, name = topic.split("/")
    made = bucket.notification(
        topic_name=name,
        topic_project=project,
        event_types=events,
        blob_name_prefix=prefix,
        payload_format=wanted["payload_format"],
    )
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with cloud.asked(f"make bucket {bucket.name} ring (storage.buckets.update)"):
                made.create()
            return Step(True, f"{told} (notification {made.notification_id})")
        except ProvisioningError as error:
            # The storage service does not see for a while what it may do on the topic.
            if name not in str(error) or time.monotonic() + _PAUSE_S > deadline:
                raise
        time.sleep(_PAUSE_S)


def _covers(found: Any, wanted: Document) -> bool:
    """Whether a notification that the bucket has brings all that the wanted one would; no event types are all."""
    topic = f"//pubsub.googleapis.com/projects/{found.topic_project}/topics/{found.topic_name}"
    same = (topic, found.payload_format) == (wanted["topic"], wanted["payload_format"])
    events = not found.event_types or set(wanted["event_types"]) <= set(found.event_types)
    return same and events and wanted.get("object_name_prefix", "").startswith(found.blob_name_prefix or "")
