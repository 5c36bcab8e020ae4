"""What is printed for Terraform is HCL that says the same as the JSON, whatever stands in names and prefixes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import hcl2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from roomledger.provisioning import terraform
from roomledger.provisioning.aws.plan import Via, arns, needed, notes
from roomledger.provisioning.gcp.plan import names_of
from roomledger.provisioning.hcl import reference, write
from roomledger.provisioning.selection import Choice, choose
from roomledger.settings import Settings

Read = Callable[[str], Settings]
SOURCES = (
    '[[source]]\nname = "acme-eu"\ncustomer = "A"\nurl = "s3://acme.recordings/live/eu"\n'
    '[[source]]\nname = "1-us"\ncustomer = "A"\nurl = "s3://acme.recordings/live/${us}*"\n'
    '[[source]]\nname = "all"\ncustomer = "A"\nurl = "s3://other"\n'
    '[[source]]\nname = "goo"\ncustomer = "A"\nurl = "gs://goo/live"\n'
    '[[source]]\nname = "gle"\ncustomer = "A"\nurl = "gs://gle"\n'
)
S3_SOURCES = ["acme-eu", "1-us", "all"]


def blocks(text: str) -> dict[tuple[str, ...], Any]:
    """By kind and labels, strings as they are written."""
    found: dict[tuple[str, ...], Any] = {}
    for kind, entries in hcl2.loads(text).items():
        for entry in entries if kind != "__comments__" else []:
            labels = [kind]
            while "__is_block__" not in entry:
                (label,) = entry
                labels.append(label.strip('"'))
                entry = entry[label]
            assert tuple(labels) not in found
            found[tuple(labels)] = entry
    return found


def meant(written: str) -> str:
    """The text that a string of HCL means: that of JSON, but for the openings of its templates."""
    return str(json.loads(re.sub(r"([$%])\1\{", r"\1{", written)))


@example("\\b\b\\\f/")
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"])))
def test_any_text_stays_itself(text: str) -> None:
    written = write([], {"block": {"alone": text, "inside": {text: [text]}}})
    alone, inside = written.split("alone = ")[1].split("\n  inside = ")
    assert not re.search(r"(?<![$%])[$%]\{", written)
    assert not re.search(r"(?<!\\)(\\\\)*\\[bf/]", written)  # of JSON, but not of HCL
    assert meant(alone) == text
    assert evaluated(inside.removeprefix("jsonencode(").rpartition(")")[0]) == {text: [text]}


@pytest.mark.parametrize(
    "text", ["plain", 'a"b\\', "${x}", "%{ if x }", "line\nbreak\ttab", "नमस्ते\x07\b\f", "$", "50%"]
)
def test_a_parser_takes_it(text: str) -> None:
    [found] = blocks(
        write([], {'resource "kind" "name"': {"alone": text, "behind": reference("some.arn") + text}})
    ).values()
    assert meant(found["alone"]) == text
    assert found["behind"] == '"${some.arn}' + found["alone"][1:]
    [found] = blocks(
        write([], {'resource "kind" "name"': {"of": reference("some.arn"), "all": [reference("a.b")]}})
    ).values()
    assert found == {"of": "${some.arn}", "all": ["${a.b}"], "__is_block__": True}


def chosen(read: Read, names: list[str], scheme: str, more: str = "") -> Choice:
    return choose(read(SOURCES + more), names, scheme=scheme)


def s3(read: Read, via: Via) -> tuple[str, dict[tuple[str, ...], Any]]:
    choice = chosen(read, S3_SOURCES, "s3")
    text = terraform.s3(choice, via, None, settings='[[queue]]\nname = "q"\n', notes=notes(choice, via))
    return text, blocks(text)


@pytest.mark.parametrize("via", Via)
def test_the_policies_are_those_of_the_json(read: Read, via: Via) -> None:
    text, found = s3(read, via)
    at = arns("123456789012", "eu-west-1")
    name = "roomledger_acme-eu_1-us_all"
    addresses = {
        f"aws_sqs_queue.{name}.arn": at.of("queue", "roomledger-acme-eu"),
        f"aws_sns_topic.{name}.arn": at.of("topic", "roomledger-acme-eu"),
        f"data.aws_caller_identity.{name}.account_id": at.account,
        "data.aws_s3_bucket.roomledger_acme-eu.arn": at.of("bucket", "acme.recordings"),
        "data.aws_s3_bucket.roomledger_all.arn": at.of("bucket", "other"),
    }
    for source in S3_SOURCES:
        addresses[f"aws_cloudwatch_event_rule.roomledger_{source}.arn"] = at.of("rule", f"roomledger-{source}")
    wanted = needed(chosen(read, S3_SOURCES, "s3"), via, None, at)
    policies = {"queue_policy": "aws_sqs_queue_policy", "reader_policy": "aws_iam_policy"}
    if via is Via.SNS:
        policies["topic_policy"] = "aws_sns_topic_policy"
    for key, kind in policies.items():
        assert re.fullmatch(r"\$\{jsonencode\(.*\)\}", found["resource", kind, name]["policy"], re.S)
        assert evaluated(section(text, (kind, name)), addresses) == wanted[key]


def section(text: str, labels: tuple[str, str]) -> str:
    """What stands between the parentheses of jsonencode in this resource."""
    body = text.split(f'resource "{labels[0]}" "{labels[1]}" {{\n')[1].split("\n}\n")[0]
    return body.split("jsonencode(", 1)[1].rsplit(")", 1)[0]


def evaluated(code: str, addresses: Mapping[str, str] = MappingProxyType({})) -> Any:
    """What Terraform makes of an object of ours: JSON, but for addresses and the openings of templates."""
    for name, value in addresses.items():
        code = code.replace(f"${{{name}}}", value).replace(f" : {name}", f" : {json.dumps(value)}")
    return json.loads(re.sub(r"([$%])\1\{", r"\1{", code))


def test_a_bucket_has_one_notification_and_each_source_its_part(read: Read) -> None:
    _, found = s3(read, Via.SQS)
    assert {labels for labels in found if labels[1] == "aws_s3_bucket_notification"} == {
        ("resource", "aws_s3_bucket_notification", "roomledger_acme-eu"),
        ("resource", "aws_s3_bucket_notification", "roomledger_all"),
    }
    notification = found["resource", "aws_s3_bucket_notification", "roomledger_acme-eu"]
    assert [meant(one["filter_prefix"]) for one in notification["queue"]] == ["live/eu/", "live/%24%7Bus%7D*/"]
    [everything] = found["resource", "aws_s3_bucket_notification", "roomledger_all"]["queue"]
    assert "filter_prefix" not in everything
    assert notification["depends_on"] == ["${aws_sqs_queue_policy.roomledger_acme-eu_1-us_all}"]
    queue = found["resource", "aws_sqs_queue", "roomledger_acme-eu_1-us_all"]
    assert meant(queue.pop("name")) == "roomledger-acme-eu"
    assert [queue[key] for key in queue if key.endswith("_seconds")] == [20, 120, 1209600]


def test_a_topic_and_rules_are_told(read: Read) -> None:
    text, found = s3(read, Via.SNS)
    [one, _] = found["resource", "aws_s3_bucket_notification", "roomledger_acme-eu"]["topic"]
    assert one["topic_arn"] == "${aws_sns_topic.roomledger_acme-eu_1-us_all.arn}"
    assert meant(found["resource", "aws_sns_topic_subscription", "roomledger_acme-eu_1-us_all"]["protocol"]) == "sqs"
    text, found = s3(read, Via.EVENTBRIDGE)
    assert found["resource", "aws_s3_bucket_notification", "roomledger_all"]["eventbridge"] is True
    for source, key in (("acme-eu", "live/eu/"), ("1-us", "live/${us}*/"), ("all", None)):
        detail = evaluated(section(text, ("aws_cloudwatch_event_rule", f"roomledger_{source}")))["detail"]
        assert detail.get("object", {"key": [{"prefix": None}]})["key"] == [{"prefix": key}]
        target = found["resource", "aws_cloudwatch_event_target", f"roomledger_{source}"]
        assert target["arn"] == "${aws_sqs_queue.roomledger_acme-eu_1-us_all.arn}"


@pytest.mark.parametrize("reader", [None, "serviceAccount:r@p.iam.gserviceaccount.com"])
def test_google(read: Read, reader: str | None) -> None:
    choice = chosen(read, ["goo", "gle"], "gs")
    names = names_of(choice, project="acme-prod", topic=None, reader=reader)
    found = blocks(terraform.gcs(choice, names, reader, settings="", notes=[]))
    assert (("variable", "roomledger_reader") in found) == (reader is None)
    member = found["resource", "google_pubsub_subscription_iam_member", "roomledger_goo_gle"]["member"]
    assert member == ("${var.roomledger_reader}" if reader is None else f'"{reader}"')
    subscription = found["resource", "google_pubsub_subscription", "roomledger_goo_gle"]
    assert (subscription["ack_deadline_seconds"], subscription["enable_exactly_once_delivery"]) == (120, False)
    assert meant(subscription["message_retention_duration"]) == "604800s"
    assert meant(subscription["expiration_policy"][0]["ttl"]) == ""
    for source, prefix in (("goo", "live/"), ("gle", None)):
        notification = found["resource", "google_storage_notification", f"roomledger_{source}"]
        assert notification.get("object_name_prefix") == (f'"{prefix}"' if prefix else None)
        assert notification["depends_on"] == [f"${{google_pubsub_topic_iam_member.roomledger_{source}}}"]
        agent = found["data", "google_storage_project_service_account", f"roomledger_{source}"]
        assert agent["project"] == f"${{data.google_storage_bucket.roomledger_{source}.project_number}}"
        publisher = found["resource", "google_pubsub_topic_iam_member", f"roomledger_{source}"]["member"]
        address = f"data.google_storage_project_service_account.roomledger_{source}.email_address"
        assert publisher == f'"serviceAccount:${{{address}}}"'
        assert meant(found["resource", "google_storage_bucket_iam_member", f"roomledger_{source}"]["bucket"]) == source


def test_its_head_is_all_comments(read: Read) -> None:
    source = '[[source]]\nname = "w"\ncustomer = "A"\nurl = "s3://b/a b"\n'
    choice = choose(read(source + '[[queue]]\nname = "q"\nurl = "sqs://q"\n'), ["w"], scheme="s3")
    text = terraform.s3(choice, Via.SQS, None, settings=choice.table("sqs://new"), notes=notes(choice, Via.SQS))
    head, _, _ = text.partition("\n\n")
    assert all(line.startswith("# ") and len(line) <= 120 for line in head.splitlines())
    assert "# [[queue]]\n" in head
    assert "special characters" in head
