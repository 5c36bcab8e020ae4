"""Setting what makes an S3 bucket ring, and telling step by step what was set and what was as it should be."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from roomledger.cloud import CannotRing, Ring, Step, aws, aws_policies, notifications
from roomledger.cloud.aws import S3Bell, Via
from roomledger.cloud.aws_client import Aws, unreachable
from roomledger.cloud.aws_policies import Policy

PATIENCE_S = 90.0
"""For how long S3 may not find a queue, or not be let in, after these were set: AWS says a minute."""
_PAUSE_S = 5.0
_READER = re.compile(r"arn:[a-z-]+:iam::\d{12}:(?P<kind>role|user)/(?:.+/)?(?P<name>[^/]+)")


def apply(cloud: Aws, bell: S3Bell, *, reader: str | None = None, patience_s: float = PATIENCE_S) -> Iterator[Step]:
    """Set every part that is not as it should be; `reader` is the ARN of the role or user that is to read.

    Raises `CannotRing`, with nothing changed when something is in the way in a bucket, and `BellError`.
    """
    who = _READER.fullmatch(reader) if reader else None
    if reader and not who:
        raise CannotRing(
            f"--reader {reader}: give the ARN of a role or user, such as arn:aws:iam::123456789012:role/name"
        )
    ours = frozenset(aws.name_of(ring) for ring in bell.rings)
    plans = {
        bucket: notifications.merge(bucket, cloud.notifications(bucket), aws.notifications(bell, bucket), ours)
        for bucket in bell.buckets
    }
    yield from _queue(cloud, bell)
    if bell.via is Via.SNS:
        yield from _topic(cloud, bell)
    if bell.via is Via.EVENTBRIDGE:
        for ring in bell.rings:
            yield from _rule(cloud, bell, ring)
    for bucket, (configuration, steps) in plans.items():
        if any(step.changed for step in steps):
            _notify(cloud, bucket, configuration, patience_s)
        yield from steps
    if who:
        for ring in bell.rings:
            yield _grant(cloud, who["kind"], who["name"], ring, aws_policies.reader_policy(bell, ring))


def _queue(cloud: Aws, bell: S3Bell) -> Iterator[Step]:
    with cloud.asked() as client:
        sqs = client("sqs")
        try:
            url = sqs.get_queue_url(QueueName=bell.queue)["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist:
            document = json.dumps(aws_policies.queue_policy(bell))
            sqs.create_queue(QueueName=bell.queue, Attributes=aws.QUEUE_ATTRIBUTES | {"Policy": document})
            yield Step(True, f"queue {bell.queue_arn}: created, with its policy")
            return
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
        wrong = {name: value for name, value in aws.QUEUE_ATTRIBUTES.items() if found.get(name) != value}
        if wrong:
            sqs.set_queue_attributes(QueueUrl=url, Attributes=wrong)
        for name, value in aws.QUEUE_ATTRIBUTES.items():
            before = f", was {found.get(name)}" if name in wrong else ""
            yield Step(name in wrong, f"queue {bell.queue_arn}: {name} {value}{before}")
        if key := found.get("KmsMasterKeyId"):
            yield Step(
                False, f"queue {bell.queue_arn}: encrypted with {key}: see that its key policy lets the sender in"
            )
        if letters := found.get("RedrivePolicy"):
            told = f"keeps its dead-letter queue ({letters}): let maxReceiveCount be 1000, since waiting counts, too"
            yield Step(False, f"queue {bell.queue_arn}: {told}")
        policy, changed = merged_policy(found.get("Policy"), aws_policies.queue_policy(bell))
        if changed:
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
        yield Step(changed, f"queue {bell.queue_arn}: policy lets in what is to ring")


def _topic(cloud: Aws, bell: S3Bell) -> Iterator[Step]:
    arn = bell.topic_arn
    with cloud.asked() as client:
        sns = client("sns")
        try:
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except sns.exceptions.NotFoundException:
            sns.create_topic(Name=bell.topic)
            found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
            yield Step(True, f"topic {arn}: created")
        policy, changed = merged_policy(found.get("Policy"), aws_policies.topic_policy(bell))
        if changed:
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(policy))
        yield Step(changed, f"topic {arn}: policy lets in what is to ring")
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        known = {one["Endpoint"] for page in pages for one in page["Subscriptions"] if one["Protocol"] == "sqs"}
        changed = bell.queue_arn not in known
        if changed:
            sns.subscribe(**aws.subscription(bell))
        yield Step(changed, f"topic {arn}: tells {bell.queue_arn}")


def _rule(cloud: Aws, bell: S3Bell, ring: Ring) -> Iterator[Step]:
    name, pattern = aws.name_of(ring), aws.event_pattern(ring)
    with cloud.asked() as client:
        events = client("events")
        try:
            found = events.describe_rule(Name=name)
        except events.exceptions.ResourceNotFoundException:
            found = {}
        changed = json.loads(found.get("EventPattern", "{}")) != pattern or found.get("State") != "ENABLED"
        if changed:
            events.put_rule(Name=name, EventPattern=json.dumps(pattern), State="ENABLED")
        yield Step(changed, f"rule {bell.rule_arns[ring.source]}: takes {ring.bucket}/{ring.prefix}")
        targets = events.list_targets_by_rule(Rule=name)["Targets"] if found else []
        changed = all(target["Arn"] != bell.queue_arn for target in targets)
        if changed:
            cloud.accepted(events.put_targets(Rule=name, Targets=[aws.target(bell)]))
        yield Step(changed, f"rule {bell.rule_arns[ring.source]}: tells {bell.queue_arn}")


def _notify(cloud: Aws, bucket: str, configuration: Mapping[str, Any], patience_s: float) -> None:
    """S3 tries every destination at once, and does not see for a while what was set a moment ago."""
    deadline = time.monotonic() + patience_s
    while True:
        with cloud.asked() as client:
            try:
                client("s3").put_bucket_notification_configuration(
                    Bucket=bucket, NotificationConfiguration=configuration, ExpectedBucketOwner=cloud.account
                )
                return
            except client("s3").exceptions.ClientError as error:
                if not unreachable(error) or time.monotonic() + _PAUSE_S > deadline:
                    raise
        time.sleep(_PAUSE_S)


def _grant(cloud: Aws, kind: str, name: str, ring: Ring, wanted: Policy) -> Step:
    """An inline policy of its own for each source, so that none takes away what another gave."""
    given = {f"{kind.title()}Name": name, "PolicyName": aws.name_of(ring)}
    with cloud.asked() as client:
        iam = client("iam")
        try:
            found = getattr(iam, f"get_{kind}_policy")(**given)["PolicyDocument"]
        except iam.exceptions.NoSuchEntityException:
            found = None
        if found != wanted:
            getattr(iam, f"put_{kind}_policy")(**given, PolicyDocument=json.dumps(wanted))
    return Step(found != wanted, f"{kind} {name}: policy {aws.name_of(ring)} lets it read")


def merged_policy(found: str | None, wanted: Policy) -> tuple[Policy, bool]:
    """A policy with our statements in it, those of others as they were, and whether that changes it."""
    policy: Policy = json.loads(found) if found else {"Version": wanted["Version"], "Statement": []}
    statements = policy.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    ours = {statement["Sid"]: statement for statement in wanted["Statement"]}
    kept = [ours.pop(one["Sid"]) if one.get("Sid") in ours else one for one in statements]
    merged = [*kept, *ours.values()]
    return policy | {"Statement": merged}, merged != statements
