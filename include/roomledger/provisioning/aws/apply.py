"""Setting what makes an S3 bucket ring, and telling step by step what was set and what was as it should be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from roomledger.provisioning import CannotConfigure, Document, ProvisioningError, Step, s3_notifications
from roomledger.provisioning.aws.client import Aws, unreachable

PATIENCE_S = 90.0
"""For how long S3 may not find a queue, or not be let in, after these were set: AWS says a minute."""
_PAUSE_S = 5.0
_READER = re.compile(r"arn:[a-z-]+:iam::\d{12}:(?P<kind>role|user)/(?:.+/)?(?P<name>[^/]+)")


def apply(cloud: Aws, parts: Document, policies: Mapping[str, Document], reader: str | None = None) -> Iterator[Step]:
    """Set every part that is not as it should be; see `aws.needed` for them.

    `reader` is the ARN of the role or user that is to read. It gets `policies`, one for each source by its name, so
    that none takes away what another gave. Raises `CannotRing`, with nothing changed when something is in the way in a
    bucket, and `BellError`.
    """
    who = _READER.fullmatch(reader) if reader else None
    if reader and not who:
        raise CannotConfigure(
            f"--reader {reader}: give the ARN of a role or user, such as arn:aws:iam::123456789012:role/name"
        )
    plans = {
        bucket: s3_notifications.merge(bucket, cloud.notifications(bucket), wanted, policies.keys())
        for bucket, wanted in parts["notifications"].items()
    }
    yield from _queue(cloud, parts["queue"], parts["queue_policy"])
    if "topic" in parts:
        yield from _topic(cloud, parts["topic"], parts["topic_policy"], parts["subscription"])
    for rule in parts.get("rules", ()):
        yield from _rule(cloud, rule)
    for bucket, (configuration, steps) in plans.items():
        if any(step.changed for step in steps):
            _notify(cloud, bucket, configuration)
        yield from steps
    if who:
        for name, policy in policies.items():
            yield _grant(cloud, who["kind"], who["name"], name, policy)


def _queue(cloud: Aws, queue: Document, policy: Document) -> Iterator[Step]:
    told, attributes = f"queue {queue['arn']}", queue["attributes"]
    with cloud.asked() as client:
        sqs = client("sqs")
        try:
            url = sqs.get_queue_url(QueueName=queue["name"])["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            sqs.create_queue(QueueName=queue["name"], Attributes=attributes | {"Policy": json.dumps(policy)})
            yield Step(True, f"{told}: created, with its policy")
            return
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
        wrong = {name: value for name, value in attributes.items() if found.get(name) != value}
        if wrong:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=wrong)
        for name, value in attributes.items():
            before = f", was {found.get(name)}" if name in wrong else ""
            yield Step(name in wrong, f"{told}: {name} {value}{before}")
        if key := found.get("KmsMasterKeyId"):
            yield Step(False, f"{told}: encrypted with {key}: see that its key policy lets the sender in")
        if letters := found.get("RedrivePolicy"):
            advice = "let maxReceiveCount be 1000, since waiting counts, too"
            yield Step(False, f"{told}: keeps its dead-letter queue ({letters}): {advice}")
        merged, changed = merged_policy(found.get("Policy"), policy)
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(merged)})
        yield Step(changed, f"{told}: policy lets in what is to ring")


def _topic(cloud: Aws, topic: Document, policy: Document, subscription: Document) -> Iterator[Step]:
    arn, queue = topic["arn"], subscription["Endpoint"]
    with cloud.asked() as client:
        sns = client("sns")
        try:
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            sns.create_topic(Name=topic["name"])
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
            yield Step(True, f"topic {arn}: created")
        merged, changed = merged_policy(found.get("Policy"), policy)
        if changed:
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(merged))
        yield Step(changed, f"topic {arn}: policy lets in what is to ring")
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        changed = all(one["Endpoint"] != queue for page in pages for one in page["Subscriptions"])
        if changed:
            sns.subscribe(**subscription)
        yield Step(changed, f"topic {arn}: tells {queue}")


def _rule(cloud: Aws, rule: Document) -> Iterator[Step]:
    name, pattern, [target] = rule["name"], rule["event_pattern"], rule["targets"]
    with cloud.asked() as client:
        events = client("events")
        try:
            found = events.describe_rule(Name=name)
        except events.exceptions.ResourceNotFoundException:
            found = {}
        changed = json.loads(found.get("EventPattern", "{}")) != pattern or found.get("State") != "ENABLED"
        if changed:
            events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
        yield Step(changed, f"rule {name}: takes {json.dumps(pattern['detail'])}")
        targets = events.list_targets_by_rule(Rule=name)["Targets"] if found else []
        changed = all(one["Arn"] != target["Arn"] for one in targets)
        if changed:
            for failed in events.put_targets(Rule=name, Targets=[target]).get("FailedEntries", ()):
                raise ProvisioningError(f"EventBridge did not take a target: {failed}")
        yield Step(changed, f"rule {name}: tells {target['Arn']}")


def _notify(cloud: Aws, bucket: str, configuration: Mapping[str, Any]) -> None:
    """S3 tries every destination at once, and does not see for a while what was set a moment ago."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with cloud.asked() as client:
            try:
                client("s3").put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration=configuration, ExpectedBucketOwner=cloud.account
                )
                return
            except ClientError as error:
                if not unreachable(error) or time.monotonic() + _PAUSE_S > deadline:
                    raise
        time.sleep(_PAUSE_S)


def _grant(cloud: Aws, kind: str, who: str, name: str, wanted: Document) -> Step:
    given = {f"{kind.title()}Name": who, "PolicyName": name}
    with cloud.asked() as client:
        iam = client("iam")
        try:
            found = getattr(iam, f"get_{kind}_policy")(**given)["PolicyDocument"]
        except iam.exceptions.NoSuchEntityException:
            found = None
        if found != wanted:
            getattr(iam, f"put_{kind}_policy")(**given, PolicyDocument=json.dumps(wanted))
    return Step(found != wanted, f"{kind} {who}: policy {name} lets it read")


def merged_policy(found: str | None, wanted: Document) -> tuple[Document, bool]:
    """A policy with our statements in it, those of others as they were, and whether that changes it."""
    policy: Document = json.loads(found) if found else {"Version": wanted["Version"], "Statement": []}
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    ours = {statement["Sid"]: statement for statement in wanted["Statement"]}
    kept = [ours.pop(one["Sid"]) if one.get("Sid") in ours else one for one in statements]
    merged = [*kept, *ours.values()]
    return policy | {"Statement": merged}, merged != statements
