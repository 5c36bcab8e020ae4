"""Bells in Terraform's language: what only the cloud knows, such as the account, is looked up when it is applied."""

from __future__ import annotations

from collections.abc import Sequence

from roomledger.cloud import Ring, aws, aws_policies, google
from roomledger.cloud.aws import S3Bell, Via
from roomledger.cloud.choice import Choice
from roomledger.cloud.google import GcsBell
from roomledger.cloud.hcl import Block, Expression, jsonencode, write

_REMARKS = [
    "Attach the aws_iam_policy to the role or user that reads.",
    "The provider has to be of the buckets' region: S3 tells only queues and topics there.",
]
_OF_A_TOPIC = "A topic that there is already has a policy, which this would replace: --apply keeps what it holds."


def s3(choice: Choice, via: Via, topic: str | None, *, settings: str, notes: Sequence[str]) -> str:
    """Queue, policies and notifications for the AWS provider. Raises `CannotRing`."""
    remarks = [*notes, *_REMARKS, *([_OF_A_TOPIC] if topic else [])]
    queue, topic = aws.names(choice, via, topic)
    name = _label(choice.rings)
    buckets = _bucket_labels(choice.rings)
    bell = S3Bell(
        rings=choice.rings,
        via=via,
        queue=queue,
        topic=topic,
        account=Expression(f"data.aws_caller_identity.{name}.account_id"),
        queue_arn=Expression(f"aws_sqs_queue.{name}.arn"),
        topic_arn=Expression(f"aws_sns_topic.{name}.arn"),
        bucket_arns={bucket: Expression(f"data.aws_s3_bucket.{label}.arn") for bucket, label in buckets.items()},
        rule_arns={r.source: Expression(f"aws_cloudwatch_event_rule.{_label([r])}.arn") for r in choice.rings},
    )
    attributes = aws.QUEUE_ATTRIBUTES
    blocks = [Block("data", ("aws_caller_identity", name), [])] if via is not Via.EVENTBRIDGE else []
    blocks += [Block("data", ("aws_s3_bucket", label), [("bucket", bucket)]) for bucket, label in buckets.items()]
    blocks += [
        Block(
            "resource",
            ("aws_sqs_queue", name),
            [
                ("name", queue),
                ("receive_wait_time_seconds", int(attributes["ReceiveMessageWaitTimeSeconds"])),
                ("visibility_timeout_seconds", int(attributes["VisibilityTimeout"])),
                ("message_retention_seconds", int(attributes["MessageRetentionPeriod"])),
            ],
        ),
        Block(
            "resource",
            ("aws_sqs_queue_policy", name),
            [
                ("queue_url", Expression(f"aws_sqs_queue.{name}.id")),
                ("policy", jsonencode(aws_policies.queue_policy(bell))),
            ],
        ),
    ]
    if via is Via.SNS:
        blocks += _topic(bell, name)
    if via is Via.EVENTBRIDGE:
        blocks += [block for ring in bell.rings for block in _rule(bell, ring)]
    blocks += [_bucket_notification(bell, bucket, label, name) for bucket, label in buckets.items()]
    policy = [("name", f"{queue}-reader"), ("policy", jsonencode(aws_policies.reader_policy(bell)))]
    blocks.append(Block("resource", ("aws_iam_policy", name), policy))
    return write(_head(choice, settings, remarks), blocks)


def _topic(bell: S3Bell, name: str) -> list[Block]:
    topic = ("topic_arn", bell.topic_arn)
    subscription = [topic, ("protocol", "sqs"), ("endpoint", bell.queue_arn)]
    return [
        Block("resource", ("aws_sns_topic", name), [("name", bell.topic)]),
        Block(
            "resource",
            ("aws_sns_topic_policy", name),
            [("arn", bell.topic_arn), ("policy", jsonencode(aws_policies.topic_policy(bell)))],
        ),
        Block("resource", ("aws_sns_topic_subscription", name), subscription),
    ]


def _rule(bell: S3Bell, ring: Ring) -> list[Block]:
    label = _label([ring])
    pattern = jsonencode(aws.event_pattern(ring))
    target = [("rule", Expression(f"aws_cloudwatch_event_rule.{label}.name")), ("arn", bell.queue_arn)]
    return [
        Block(
            "resource",
            ("aws_cloudwatch_event_rule", label),
            [("name", aws.name_of(ring)), ("event_pattern", pattern)],
        ),
        Block("resource", ("aws_cloudwatch_event_target", label), target),
    ]


def _bucket_notification(bell: S3Bell, bucket: str, label: str, name: str) -> Block:
    body: list[tuple[str, object] | Block] = [("bucket", Expression(f"data.aws_s3_bucket.{label}.id"))]
    if bell.via is Via.EVENTBRIDGE:
        return Block("resource", ("aws_s3_bucket_notification", label), [*body, ("eventbridge", True)])
    kind, policy = ("queue", f"aws_sqs_queue_policy.{name}")
    if bell.via is Via.SNS:
        kind, policy = ("topic", f"aws_sns_topic_policy.{name}")
    # S3 tries the destination when it is told of it.
    body.append(("depends_on", [Expression(policy)]))
    (entries,) = aws.notifications(bell, bucket).values()
    for entry in entries:
        arn = bell.queue_arn if kind == "queue" else bell.topic_arn
        inner: list[tuple[str, object]] = [("id", entry["Id"]), (f"{kind}_arn", arn), ("events", entry["Events"])]
        inner += [
            ("filter_prefix", rule["Value"]) for rule in entry.get("Filter", {"Key": {}})["Key"].get("FilterRules", ())
        ]
        body.append(Block(kind, (), inner))
    return Block("resource", ("aws_s3_bucket_notification", label), body)


def gcs(choice: Choice, bell: GcsBell, *, settings: str, notes: Sequence[str]) -> str:
    """Topic, subscription, notifications and grants for the Google provider."""
    name = _label(choice.rings)
    buckets = _bucket_labels(choice.rings)
    project = ("project", bell.project)
    topic = Expression(f"google_pubsub_topic.{name}.id")
    subscription = Expression(f"google_pubsub_subscription.{name}.id")
    blocks: list[Block] = []
    reader: str | Expression | None = bell.reader
    if reader is None:
        reader = Expression("var.roomledger_reader")
        said = "Who reads the queue and the objects, such as serviceAccount:name@project.iam.gserviceaccount.com."
        blocks.append(
            Block("variable", ("roomledger_reader",), [("type", Expression("string")), ("description", said)])
        )
    for bucket, label in buckets.items():
        # Asking for the service agent of a project also creates it where it never was used.
        number = Expression(f"data.google_storage_bucket.{label}.project_number")
        blocks += [
            Block("data", ("google_storage_bucket", label), [("name", bucket)]),
            Block("data", ("google_storage_project_service_account", label), [("project", number)]),
        ]
    blocks.append(Block("resource", ("google_pubsub_topic", name), [project, ("name", bell.topic)]))
    for label in buckets.values():
        agent = Expression(f"data.google_storage_project_service_account.{label}.email_address")
        member = [project, ("topic", topic), ("role", google.PUBLISHER), ("member", "serviceAccount:" + agent)]
        blocks.append(Block("resource", ("google_pubsub_topic_iam_member", label), member))
    blocks += [
        Block(
            "resource",
            ("google_pubsub_subscription", name),
            [
                project,
                ("name", bell.subscription),
                ("topic", topic),
                ("ack_deadline_seconds", google.ACK_DEADLINE_S),
                ("message_retention_duration", f"{google.RETENTION_S}s"),
                ("enable_exactly_once_delivery", False),
                Block("expiration_policy", (), [("ttl", "")]),
            ],
        ),
        Block(
            "resource",
            ("google_pubsub_subscription_iam_member", name),
            [project, ("subscription", subscription), ("role", google.SUBSCRIBER), ("member", reader)],
        ),
    ]
    for bucket, label in buckets.items():
        member = [("bucket", bucket), ("role", google.VIEWER), ("member", reader)]
        blocks.append(Block("resource", ("google_storage_bucket_iam_member", label), member))
    for ring in bell.rings:
        body: list[tuple[str, object]] = [
            ("bucket", ring.bucket),
            ("topic", topic),
            ("payload_format", google.PAYLOAD_FORMAT),
            ("event_types", list(google.EVENT_TYPES)),
            *([("object_name_prefix", ring.prefix)] if ring.prefix else []),
            ("depends_on", [Expression(f"google_pubsub_topic_iam_member.{buckets[ring.bucket]}")]),
        ]
        blocks.append(Block("resource", ("google_storage_notification", _label([ring])), body))
    return write(_head(choice, settings, notes), blocks)


def _label(rings: Sequence[Ring]) -> str:
    """What Terraform calls the parts that belong to these sources."""
    return "_".join(["roomledger", *(ring.source for ring in rings)])


def _bucket_labels(rings: Sequence[Ring]) -> dict[str, str]:
    """By bucket: a bucket's name may hold dots, so its first source gives the label."""
    return {ring.bucket: _label([ring]) for ring in reversed(rings)}


def _head(choice: Choice, settings: str, notes: Sequence[str]) -> list[str]:
    who = ", ".join(ring.source for ring in choice.rings)
    return [f"Makes the bucket ring for: {who}. In roomledger.toml:", *settings.splitlines(), *notes]
