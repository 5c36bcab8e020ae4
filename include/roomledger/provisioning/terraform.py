"""Bells in Terraform's language: what only the cloud knows, such as the account, is looked up when it is applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from roomledger.provisioning import Document, Target
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Addresses, Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.hcl import Body, reference, write
from roomledger.provisioning.selection import Choice

_REMARKS = (
    "Attach the aws_iam_policy to the role or user that reads.",
    "The provider has to be of the buckets' region: S3 tells only queues and topics there.",
)
_OF_A_TOPIC = "A topic that there is already has a policy, which this would replace: --apply keeps what it holds."


def s3(choice: Choice, via: Via, topic: str | None, *, settings: str, notes: Sequence[str]) -> str:
    """Queue, policies and notifications for the AWS provider. Raises `CannotRing`."""
    remarks = [*notes, *_REMARKS, *([_OF_A_TOPIC] if topic else [])]
    name, labels = _label(*choice.rings), _bucket_labels(choice.rings)
    rules = {ring.name: _label(ring) for ring in choice.rings}

    def address(kind: str, what: str) -> str:
        match kind:
            case "bucket":
                return reference(f"data.aws_s3_bucket.{labels[what]}.arn")
            case "rule":
                return reference(f"aws_cloudwatch_event_rule.{rules[what]}.arn")
        return reference(f"aws_{'sqs' if kind == 'queue' else 'sns'}_{kind}.{name}.arn")

    account = reference(f"data.aws_caller_identity.{name}.account_id")
    parts = aws_plan.needed(choice, via, topic, Addresses(account, address))
    queue, attributes = parts["queue"], parts["queue"]["attributes"]
    blocks: dict[str, Body] = {}
    if via is not Via.EVENTBRIDGE:
        blocks[f'data "aws_caller_identity" "{name}"'] = {}
    for bucket, label in labels.items():
        blocks[f'data "aws_s3_bucket" "{label}"'] = {"bucket": bucket}
    blocks[f'resource "aws_sqs_queue" "{name}"'] = {
        "name": queue["name"],
        "receive_wait_time_seconds": int(attributes["ReceiveMessageWaitTimeSeconds"]),
        "visibility_timeout_seconds": int(attributes["VisibilityTimeout"]),
        "message_retention_seconds": int(attributes["MessageRetentionPeriod"]),
    }
    queue_id = reference(f"aws_sqs_queue.{name}.id")
    blocks[f'resource "aws_sqs_queue_policy" "{name}"'] = {"queue_url": queue_id, "policy": parts["queue_policy"]}
    if via is Via.SNS:
        arn = parts["topic"]["arn"]
        heard = {"topic_arn": arn, "protocol": "sqs", "endpoint": queue["arn"]}
        blocks[f'resource "aws_sns_topic" "{name}"'] = {"name": parts["topic"]["name"]}
        blocks[f'resource "aws_sns_topic_policy" "{name}"'] = {"arn": arn, "policy": parts["topic_policy"]}
        blocks[f'resource "aws_sns_topic_subscription" "{name}"'] = heard
    for rule in parts.get("rules", ()):
        label = rules[rule["name"]]
        taken = {"name": rule["name"], "event_pattern": rule["event_pattern"]}
        told = {"rule": reference(f"aws_cloudwatch_event_rule.{label}.name"), "arn": queue["arn"]}
        blocks[f'resource "aws_cloudwatch_event_rule" "{label}"'] = taken
        blocks[f'resource "aws_cloudwatch_event_target" "{label}"'] = told
    for bucket, label in labels.items():
        body = {"bucket": reference(f"data.aws_s3_bucket.{label}.id"), **_told(parts["notifications"][bucket], name)}
        blocks[f'resource "aws_s3_bucket_notification" "{label}"'] = body
    policy = {"name": f"{queue['name']}-reader", "policy": parts["reader_policy"]}
    blocks[f'resource "aws_iam_policy" "{name}"'] = policy
    return _written(choice, settings, remarks, blocks)


def _told(notifications: Document, name: str) -> Body:
    """Whom a bucket tells; S3 tries them when it is told of them, so their policies come first."""
    [(kind, entries)] = notifications.items()
    if kind == "EventBridgeConfiguration":
        return {"eventbridge": True}
    kind, service = ("queue", "sqs") if kind == "QueueConfigurations" else ("topic", "sns")
    blocks = []
    for entry in entries:
        block = {"id": entry["Id"], f"{kind}_arn": entry[f"{kind.title()}Arn"], "events": entry["Events"]}
        if "Filter" in entry:
            block["filter_prefix"] = entry["Filter"]["Key"]["FilterRules"][0]["Value"]
        blocks.append(block)
    return {"depends_on": [reference(f"aws_{service}_{kind}_policy.{name}")], kind: blocks}


def gcs(choice: Choice, names: gcp_plan.Names, reader: str | None, *, settings: str, notes: Sequence[str]) -> str:
    """Topic, subscription, notifications and grants for the Google provider."""
    project, topic, subscription = names
    name, labels = _label(*choice.rings), _bucket_labels(choice.rings)
    topic_id = reference(f"google_pubsub_topic.{name}.id")
    subscription_id = reference(f"google_pubsub_subscription.{name}.id")
    blocks: dict[str, Body] = {}
    if reader is None:
        said = f"Who reads the queue and the objects, such as {gcp_plan.A_READER}."
        blocks['variable "roomledger_reader"'] = {"type": reference("string"), "description": said}
        reader = reference("var.roomledger_reader")
    for bucket, label in labels.items():
        # Asking for the service agent of a project also creates it where it never was used.
        number = reference(f"data.google_storage_bucket.{label}.project_number")
        blocks[f'data "google_storage_bucket" "{label}"'] = {"name": bucket}
        blocks[f'data "google_storage_project_service_account" "{label}"'] = {"project": number}
    blocks[f'resource "google_pubsub_topic" "{name}"'] = {"project": project, "name": topic}
    for label in labels.values():
        agent = reference(f"data.google_storage_project_service_account.{label}.email_address")
        grant = {"topic": topic_id, "role": gcp_plan.PUBLISHER, "member": f"serviceAccount:{agent}"}
        blocks[f'resource "google_pubsub_topic_iam_member" "{label}"'] = {"project": project, **grant}
    blocks[f'resource "google_pubsub_subscription" "{name}"'] = {
        "project": project,
        "name": subscription,
        "topic": topic_id,
        "ack_deadline_seconds": gcp_plan.SUBSCRIPTION["ackDeadlineSeconds"],
        "message_retention_duration": gcp_plan.SUBSCRIPTION["messageRetentionDuration"],
        "enable_exactly_once_delivery": gcp_plan.SUBSCRIPTION["enableExactlyOnceDelivery"],
        "expiration_policy": [{"ttl": ""}],
    }
    grant = {"subscription": subscription_id, "role": gcp_plan.SUBSCRIBER, "member": reader}
    blocks[f'resource "google_pubsub_subscription_iam_member" "{name}"'] = {"project": project, **grant}
    for bucket, label in labels.items():
        grant = {"bucket": bucket, "role": gcp_plan.VIEWER, "member": reader}
        blocks[f'resource "google_storage_bucket_iam_member" "{label}"'] = grant
    for ring in choice.rings:
        may = reference(f"google_pubsub_topic_iam_member.{labels[ring.bucket]}")
        body = {"bucket": ring.bucket, **gcp_plan.notification(ring, topic_id), "depends_on": [may]}
        blocks[f'resource "google_storage_notification" "{_label(ring)}"'] = body
    return _written(choice, settings, notes, blocks)


def _label(*rings: Target) -> str:
    """What Terraform calls the parts that belong to these sources."""
    return "_".join(["roomledger", *(ring.source for ring in rings)])


def _bucket_labels(rings: Sequence[Target]) -> dict[str, str]:
    """By bucket: a bucket's name may hold dots, so its first source gives the label."""
    return {ring.bucket: _label(ring) for ring in reversed(rings)}


def _written(choice: Choice, settings: str, notes: Sequence[str], blocks: Mapping[str, Body]) -> str:
    who = ", ".join(ring.source for ring in choice.rings)
    said = f"Makes the bucket ring for: {who}. In roomledger.toml:"
    return write([said, *settings.splitlines(), *notes], blocks)
