"""The Terraform modules configure exactly what the plans do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomledger.provisioning import Document
from roomledger.provisioning.aws import plan as aws_plan
from roomledger.provisioning.aws.plan import Arns, Via
from roomledger.provisioning.gcp import plan as gcp_plan
from roomledger.provisioning.selection import select
from roomledger.settings import Settings
from tests.provisioning.terraform_module import TerraformModule

Read = Callable[[str], Settings]
MODULES = Path(__file__).parents[2] / "deploy" / "terraform"
ARNS = Arns("123456789012", "eu-west-1", "aws-cn")
AGENTS = {"acme-recordings": "agent-1@x", "other": "agent-2@x"}
SOURCES = {
    "acme-eu": {"bucket": "acme-recordings", "prefix": "live/eu"},
    "acme_us": {"bucket": "acme-recordings", "prefix": "live/u s/!*'(~)$ü+%"},
    "whole": {"bucket": "other", "prefix": ""},
}


def tables(scheme: str, queue: str) -> str:
    """Settings with the same sources and a queue."""
    urls = {name: f"{scheme}://{source['bucket']}/{source['prefix']}".rstrip("/") for name, source in SOURCES.items()}
    found = "".join(f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\n' for name, url in urls.items())
    return f'{found}[[queue]]\nname = "q"\nurl = "{queue}"\n'


def compute_aws(kind: str, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """What the AWS provider knows of a resource."""
    match kind:
        case "aws_caller_identity":
            return {"account_id": ARNS.account}
        case "aws_partition":
            return {"partition": ARNS.partition}
        case "aws_sqs_queue":
            return {"arn": ARNS.of("sqs", attributes["name"]), "id": f"https://sqs/{attributes['name']}"}
        case "aws_sns_topic":
            return {"arn": ARNS.of("sns", attributes["name"])}
        case "aws_cloudwatch_event_rule":
            return {"arn": ARNS.of("events", f"rule/{attributes['name']}")}
        case "aws_iam_policy":
            return {"arn": f"arn:aws-cn:iam::{ARNS.account}:policy/{attributes['name']}"}
    return {}


def aws_document(module: TerraformModule) -> Document:
    """The resources of the AWS module in the form of a plan; each is used up, so that none is left out."""
    resources = module.resources()

    def only(kind: str) -> dict[str, Any]:
        [resource] = resources.pop(kind)
        return resource

    queue, policy = only("aws_sqs_queue"), only("aws_sqs_queue_policy")
    assert policy.pop("queue_url") == queue.pop("id")
    document: Document = {
        "queue": {
            "name": queue.pop("name"),
            "arn": queue.pop("arn"),
            "attributes": {
                "ReceiveMessageWaitTimeSeconds": str(queue.pop("receive_wait_time_seconds")),
                "VisibilityTimeout": str(queue.pop("visibility_timeout_seconds")),
                "MessageRetentionPeriod": str(queue.pop("message_retention_seconds")),
            },
        },
        "queue_policy": json.loads(policy.pop("policy")),
        "reader_policy": json.loads(only("aws_iam_policy")["policy"]),
        "notifications": {},
    }
    assert not queue
    assert not policy
    if resources["aws_sns_topic"]:
        topic_policy, subscription = only("aws_sns_topic_policy"), only("aws_sns_topic_subscription")
        document["topic"] = only("aws_sns_topic")
        assert topic_policy["arn"] == document["topic"]["arn"]
        document["topic_policy"] = json.loads(topic_policy["policy"])
        names = {"topic_arn": "TopicArn", "protocol": "Protocol", "endpoint": "Endpoint"}
        document["subscription"] = {names[key]: value for key, value in subscription.items()}
    targets = {target["rule"]: target for target in resources.pop("aws_cloudwatch_event_target")}
    for rule in resources.pop("aws_cloudwatch_event_rule"):
        destination = {"Id": targets[rule["name"]]["target_id"], "Arn": targets.pop(rule["name"])["arn"]}
        described = {"name": rule["name"], "event_pattern": json.loads(rule["event_pattern"]), "targets": [destination]}
        document.setdefault("rules", []).append(described)
    for notification in resources.pop("aws_s3_bucket_notification"):
        configuration: Document = {"EventBridgeConfiguration": {}} if notification.pop("eventbridge") else {}
        document["notifications"][notification.pop("bucket")] = configuration
        for kind, entries in notification.items():
            for entry in entries:
                written = {"Id": entry["id"], f"{kind.title()}Arn": entry[f"{kind}_arn"], "Events": entry["events"]}
                if "filter_prefix" in entry:
                    rule = {"Name": "prefix", "Value": entry["filter_prefix"]}
                    written["Filter"] = {"Key": {"FilterRules": [rule]}}
                configuration.setdefault(f"{kind.title()}Configurations", []).append(written)
    assert not targets
    assert not any(resources.values())
    return document


@pytest.mark.parametrize("via", Via)
def test_the_aws_module_configures_what_the_plan_does(read: Read, via: Via) -> None:
    selection = select(read(tables("s3", "sqs://123456789012/events")), list(SOURCES), scheme="s3")
    plan = aws_plan.build_plan(selection, via, "events" if via is Via.SNS else None, ARNS)
    variables = {"name": "events", "via": str(via), "sources": SOURCES}
    module = TerraformModule(MODULES / "aws" / "main.tf", variables, compute_aws)
    assert aws_document(module) == plan
    assert module.output("queue_url") == "sqs://123456789012/events"


def test_the_aws_module_notifies_the_queue_directly_by_default() -> None:
    variables = {"name": "events", "sources": SOURCES}
    module = TerraformModule(MODULES / "aws" / "main.tf", variables, compute_aws)
    assert module.resources()["aws_sns_topic"] == module.resources()["aws_cloudwatch_event_rule"] == []


def test_the_gcp_module_configures_what_the_plan_does(read: Read) -> None:
    reader = "serviceAccount:reader@x"
    selection = select(read(tables("gs", "pubsub://acme-prod/events")), list(SOURCES), scheme="gs")
    names = gcp_plan.resource_names(selection, project=None, topic=None, reader=reader)
    plan = gcp_plan.build_plan(selection, names, reader=reader, agents=AGENTS)

    def compute(kind: str, name: str, attributes: dict[str, Any]) -> dict[str, Any]:
        match kind:
            case "google_storage_bucket":
                return {"project_number": f"project of {attributes['name']}"}
            case "google_storage_project_service_account":
                return {"email_address": AGENTS[attributes["project"].removeprefix("project of ")]}
            case "google_pubsub_topic":
                return {"id": f"projects/{attributes['project']}/topics/{attributes['name']}"}
            case "google_pubsub_subscription":
                return {"id": f"projects/{attributes['project']}/subscriptions/{attributes['name']}"}
        return {}

    variables = {"name": "events", "project": "acme-prod", "reader": reader, "sources": SOURCES}
    module = TerraformModule(MODULES / "gcp" / "main.tf", variables, compute)
    resources = module.resources()
    [topic], [subscription] = resources.pop("google_pubsub_topic"), resources.pop("google_pubsub_subscription")
    assert {"name": topic["id"]} == plan["topic"]
    assert {
        "name": subscription.pop("id"),
        "topic": subscription.pop("topic"),
        "ackDeadlineSeconds": subscription.pop("ack_deadline_seconds"),
        "messageRetentionDuration": subscription.pop("message_retention_duration"),
        # The provider's form of an empty policy.
        "expirationPolicy": {} if subscription.pop("expiration_policy") == [{"ttl": ""}] else None,
        "enableExactlyOnceDelivery": subscription.pop("enable_exactly_once_delivery"),
    } == plan["subscription"]
    assert subscription == {"project": "acme-prod", "name": "events"}
    notifications: Document = {}
    for notification in resources.pop("google_storage_notification"):
        notification["topic"] = f"//pubsub.googleapis.com/{notification['topic']}"
        notifications.setdefault(notification.pop("bucket"), []).append(notification)
    assert notifications == plan["notifications"]
    grants = [
        {"resource": prefix + grant[key], "role": grant["role"], "member": grant["member"]}
        for kind, key, prefix in (
            ("google_pubsub_topic_iam_member", "topic", ""),
            ("google_pubsub_subscription_iam_member", "subscription", ""),
            ("google_storage_bucket_iam_member", "bucket", "gs://"),
        )
        for grant in resources.pop(kind)
    ]
    assert grants == plan["grants"]
    assert not resources
    assert module.output("queue_url") == "pubsub://acme-prod/events"


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_usage_example_of_a_module_sets_its_variables(cloud: str, tmp_path: Path) -> None:
    path = MODULES / cloud / "main.tf"
    header = path.read_text("utf-8").partition("\n\n")[0]
    example = "\n".join(line.removeprefix("#   ") for line in header.split("\n#\n")[1].splitlines())
    (tmp_path / "main.tf").write_text(example + "\n", "utf-8")
    usage = TerraformModule(tmp_path / "main.tf", {}, lambda *_: {})
    values = usage.values(("module", "roomledger_notifications"))
    assert values.pop("source") == f"./deploy/terraform/{cloud}"
    declared = {address[1] for address in TerraformModule(path, {}, lambda *_: {}).blocks if address[0] == "variable"}
    assert values.keys() <= declared
    assert declared - values.keys() <= {"via"}
    assert all(source.keys() == {"bucket", "prefix"} for source in values["sources"].values())
