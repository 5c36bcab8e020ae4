"""Applies an AWS plan: changes what differs and reports each step."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError, Step, s3_notifications
from roomledger.provisioning.aws.client import Aws, is_unreachable

TIMEOUT_S = 90.0
"""How long S3 may fail to find a new queue, or to see a new policy: about a minute (AWS manual)."""
_PAUSE_S = 5.0
_READER = re.compile(r"arn:[a-z-]+:iam::\d{12}:(?P<kind>role|user)/(?:.+/)?(?P<name>[^/]+)")


def apply(cloud: Aws, plan: Document, policies: Mapping[str, Document], reader: str | None = None) -> Iterator[Step]:
    """Apply a plan of `aws.plan.build_plan`.

    `reader` is the ARN of the role or user that reads. It gets `policies`, one per source by its name, so that sources
    configured one after the other do not overwrite each other's. Raises `ProvisioningError`, and `CannotConfigure`,
    before any change when the notifications of a bucket are in conflict with the plan.
    """
    who = _READER.fullmatch(reader) if reader else None
    if reader and not who:
        raise CannotConfigure(
            f"--reader {reader} is not the ARN of a role or user: use for example arn:aws:iam::123456789012:role/name"
        )
    buckets = {
        bucket: s3_notifications.merge(bucket, cloud.notifications(bucket), wanted, policies.keys())
        for bucket, wanted in plan["notifications"].items()
    }
    yield from _queue(cloud, plan["queue"], plan["queue_policy"])
    if "topic" in plan:
        yield from _topic(cloud, plan["topic"], plan["topic_policy"], plan["subscription"])
    for rule in plan.get("rules", ()):
        yield from _rule(cloud, rule)
    for bucket, (configuration, steps) in buckets.items():
        if any(step.changed for step in steps):
            _notify(cloud, bucket, configuration)
        yield from steps
    if who:
        for name, policy in policies.items():
            yield _grant(cloud, who["kind"], who["name"], name, policy)


def _queue(cloud: Aws, queue: Document, policy: Document) -> Iterator[Step]:
    label, attributes = f"queue {queue['arn']}", queue["attributes"]
    with cloud.clients() as client:
        sqs = client("sqs")
        try:
            url = sqs.get_queue_url(QueueName=queue["name"])["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            sqs.create_queue(QueueName=queue["name"], Attributes=attributes | {"Policy": json.dumps(policy)})
            yield Step(True, f"{label}: created, with its policy")
            return
        current = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
        differing = {name: value for name, value in attributes.items() if current.get(name) != value}
        if differing:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=differing)
        for name, value in attributes.items():
            before = f", was {current.get(name)}" if name in differing else ""
            yield Step(name in differing, f"{label}: {name} {value}{before}")
        if key := current.get("KmsMasterKeyId"):
            yield Step(False, f"{label}: encrypted with {key}; its key policy must allow the sender")
        if redrive := current.get("RedrivePolicy"):
            advice = "set maxReceiveCount to 1000, because repeated checks of an object count as receives"
            yield Step(False, f"{label}: has a dead-letter queue ({redrive}); {advice}")
        merged, changed = merge_policy(current.get("Policy"), policy)
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(merged)})
        yield Step(changed, f"{label}: policy allows the senders")


def _topic(cloud: Aws, topic: Document, policy: Document, subscription: Document) -> Iterator[Step]:
    arn, queue = topic["arn"], subscription["Endpoint"]
    with cloud.clients() as client:
        sns = client("sns")
        try:
            current = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            sns.create_topic(Name=topic["name"])
            current = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
            yield Step(True, f"topic {arn}: created")
        merged, changed = merge_policy(current.get("Policy"), policy)
        if changed:
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(merged))
        yield Step(changed, f"topic {arn}: policy allows the senders")
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        changed = all(existing["Endpoint"] != queue for page in pages for existing in page["Subscriptions"])
        if changed:
            sns.subscribe(**subscription)
        yield Step(changed, f"topic {arn}: subscription of {queue}")


def _rule(cloud: Aws, rule: Document) -> Iterator[Step]:
    name, pattern, [target] = rule["name"], rule["event_pattern"], rule["targets"]
    with cloud.clients() as client:
        events = client("events")
        try:
            current = events.describe_rule(Name=name)
        except events.exceptions.ResourceNotFoundException:
            current = {}
        changed = json.loads(current.get("EventPattern", "{}")) != pattern or current.get("State") != "ENABLED"
        if changed:
            events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
        yield Step(changed, f"rule {name}: selects {json.dumps(pattern['detail'])}")
        targets = events.list_targets_by_rule(Rule=name)["Targets"] if current else []
        changed = all(existing["Arn"] != target["Arn"] for existing in targets)
        if changed:
            for failed in events.put_targets(Rule=name, Targets=[target]).get("FailedEntries", ()):
                raise ProvisioningError(f"EventBridge refused a target: {failed}")
        yield Step(changed, f"rule {name}: sends to {target['Arn']}")


def _notify(cloud: Aws, bucket: str, configuration: Mapping[str, Any]) -> None:
    """S3 tests every destination at once, and sees a change of a queue or policy only after a while."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with cloud.clients() as client:
            try:
                client("s3").put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration=configuration, ExpectedBucketOwner=cloud.account
                )
                return
            except ClientError as error:
                if not is_unreachable(error) or time.monotonic() + _PAUSE_S > deadline:
                    raise
        time.sleep(_PAUSE_S)


def _grant(cloud: Aws, kind: str, who: str, name: str, wanted: Document) -> Step:
    policy = {f"{kind.title()}Name": who, "PolicyName": name}
    with cloud.clients() as client:
        iam = client("iam")
        try:
            current = getattr(iam, f"get_{kind}_policy")(**policy)["PolicyDocument"]
        except iam.exceptions.NoSuchEntityException:
            current = None
        if current != wanted:
            getattr(iam, f"put_{kind}_policy")(**policy, PolicyDocument=json.dumps(wanted))
    return Step(current != wanted, f"{kind} {who}: policy {name} allows reading")


def merge_policy(current: str | None, wanted: Document) -> tuple[Document, bool]:
    """Merge our statements into a policy, leaving those of others unchanged; return it and whether it changed."""
    policy: Document = json.loads(current) if current else {"Version": wanted["Version"], "Statement": []}
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    own = {statement["Sid"]: statement for statement in wanted["Statement"]}
    merged = [own.pop(existing["Sid"]) if existing.get("Sid") in own else existing for existing in statements]
    merged += own.values()
    return policy | {"Statement": merged}, merged != statements
