"""Notifications of GCS buckets, applied with Google's own clients against a simulator of the APIs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from google import pubsub_v1 as api
from google.iam.v1 import policy_pb2
from google.type import expr_pb2

from roomledger.provisioning import CannotConfigure, ProvisioningError, Target
from roomledger.provisioning.gcp import apply as gcp_apply
from roomledger.provisioning.gcp.client import Google
from roomledger.provisioning.gcp.plan import build_plan, notification, resource_names
from roomledger.provisioning.selection import Selection, select
from roomledger.queues.pubsub import PubSub
from roomledger.settings import Settings
from roomledger.stores import Access
from tests.provisioning.gcp_server import AGENT, GoogleCloud

Read = Callable[[str], Settings]
READER = "serviceAccount:reader@acme-prod.iam.gserviceaccount.com"
TOPIC = "projects/acme-prod/topics/events"
SUBSCRIPTION = "projects/acme-prod/subscriptions/events"


def selected(read: Read, cloud: GoogleCloud, *sources: str) -> Selection:
    """These sources, `name=url` each, with a queue called events."""
    tables = f'[[queue]]\nname = "q"\nurl = "pubsub://acme-prod/events"\nendpoint = "{cloud.pubsub}"\n'
    names = []
    for source in sources:
        name, _, url = source.partition("=")
        names.append(name)
        tables += f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\nendpoint = "{cloud.endpoint}"\n'
    return select(read(tables), names, scheme="gs")


def run_apply(selection: Selection, *, topic: str | None = None, reader: str | None = None) -> list[str]:
    """Apply the plan and return the changes."""
    cloud, names = Google(selection, None), resource_names(selection, project=None, topic=topic, reader=reader)
    plan = build_plan(selection, names, reader=reader, agents=cloud.agents(selection.buckets))
    steps = list(gcp_apply.apply(cloud, plan))
    assert steps
    return [step.description for step in steps if step.changed]


def test_a_repeated_apply_changes_nothing(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    selection = selected(read, google, "acme=gs://b/live/ü")
    assert len(run_apply(selection, reader=READER)) == 6
    writes = google.writes
    assert run_apply(selection, reader=READER) == []
    assert google.writes == writes

    created = google.subscription(SUBSCRIPTION)
    assert created.topic == TOPIC
    assert (created.ack_deadline_seconds, created.message_retention_duration) == (120, timedelta(days=7))
    assert "expiration_policy" in created
    assert "ttl" not in created.expiration_policy
    assert not created.enable_exactly_once_delivery
    assert google.buckets["b"]["notifications"] == [
        {
            "id": "1",
            "topic": "//pubsub.googleapis.com/projects/acme-prod/topics/events",
            "payload_format": "JSON_API_V1",
            "event_types": ["OBJECT_FINALIZE", "OBJECT_DELETE"],
            "object_name_prefix": "live/ü/",
        }
    ]
    granted = [
        (binding.role, list(binding.members))
        for path in (TOPIC, SUBSCRIPTION)
        for binding in google.policies[path].bindings
    ]
    assert granted == [
        ("roles/pubsub.publisher", [f"serviceAccount:{AGENT}"]),
        ("roles/pubsub.subscriber", [READER]),
    ]
    assert google.buckets["b"]["policy"]["bindings"] == [{"role": "roles/storage.objectViewer", "members": [READER]}]


def test_the_queue_of_the_settings_receives_messages_of_the_topic(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    selection = selected(read, google, "acme=gs://b")
    run_apply(selection)
    google.queues.publish(TOPIC, [b"{}"])
    assert selection.queue
    [message] = PubSub(selection.queue, Access()).receive(5)
    assert message.body == b"{}"


def test_sources_can_be_added_to_one_queue_later(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    google.new_bucket("c")
    sources = ("one=gs://b/1", "two=gs://b/2", "three=gs://c")
    assert run_apply(selected(read, google, sources[0]), reader=READER)
    assert len(run_apply(selected(read, google, *sources[1:]), reader=READER)) == 3  # two notifications and one grant
    assert [n.get("object_name_prefix") for n in google.buckets["b"]["notifications"]] == ["1/", "2/"]
    assert "object_name_prefix" not in google.buckets["c"]["notifications"][0]
    assert run_apply(selected(read, google, *sources), reader=READER) == []


def test_settings_of_others_are_preserved(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    theirs = {"id": "9", "topic": "//pubsub.googleapis.com/projects/theirs/topics/theirs", "payload_format": "NONE"}
    bound = {
        "role": "roles/storage.objectViewer",
        "members": [READER],
        "condition": {"title": "t", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"},
    }
    google.buckets["b"]["notifications"].append(theirs)
    google.buckets["b"]["policy"]["bindings"].append(bound)
    # The same role with an expiry condition.
    condition = expr_pb2.Expr(title="t", expression="request.time < timestamp('2027-01-01T00:00:00Z')")
    ours = policy_pb2.Binding(role="roles/pubsub.subscriber", members=[READER], condition=condition)
    google.policies[SUBSCRIPTION] = policy_pb2.Policy(etag=b"1", version=3, bindings=[ours])
    google.queues.subscribe("pubsub://acme-prod/events", "events", ack_deadline_seconds=30, labels={"team": "a"})

    changes = run_apply(selected(read, google, "acme=gs://b"), reader=READER)
    [changed] = [change for change in changes if change.startswith(f"subscription {SUBSCRIPTION}")]
    assert "ack_deadline_seconds, was 30" in changed
    found = google.subscription(SUBSCRIPTION)
    assert (found.ack_deadline_seconds, dict(found.labels)) == (120, {"team": "a"})
    assert google.buckets["b"]["notifications"][0] == theirs
    bindings = google.buckets["b"]["policy"]["bindings"]
    assert bindings == [bound, {"role": "roles/storage.objectViewer", "members": [READER]}]
    policy = google.policies[SUBSCRIPTION]
    assert (policy.version, policy.bindings[0], len(policy.bindings)) == (3, ours, 2)


WANTED = notification(Target("acme", "b", "live/eu/"), TOPIC)


@pytest.mark.parametrize(
    ("differs", "sufficient"),
    [
        ({}, True),
        ({"event_types": None}, True),  # all event types
        ({"object_name_prefix": "live/"}, True),
        ({"object_name_prefix": None}, True),
        ({"object_name_prefix": "live/eu/chat/"}, False),
        ({"event_types": ["OBJECT_FINALIZE"]}, False),
        ({"payload_format": "NONE"}, False),
        ({"topic": "//pubsub.googleapis.com/projects/acme-prod/topics/other"}, False),
    ],
)
def test_a_sufficient_notification_is_not_repeated(
    read: Read, google: GoogleCloud, differs: dict[str, Any], sufficient: bool
) -> None:
    existing = {key: value for key, value in (WANTED | differs).items() if value is not None}
    google.new_bucket("b")
    google.buckets["b"]["notifications"].append(existing | {"id": "7"})
    run_apply(selected(read, google, "acme=gs://b/live/eu"))
    assert len(google.buckets["b"]["notifications"]) == (1 if sufficient else 2)


def test_an_unusable_subscription_is_reported_before_any_change(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    google.queues.subscribe("pubsub://acme-prod/events", "other")
    selection = selected(read, google, "acme=gs://b")
    with pytest.raises(CannotConfigure, match=r"subscribes to topic projects/acme-prod/topics/other, .*--topic other"):
        run_apply(selection)
    assert google.buckets["b"]["notifications"] == []
    assert run_apply(selection, topic="other")
    for differs, error in (
        ({"push_config": api.PushConfig(push_endpoint="https://example.org")}, "not a pull subscription"),
        ({"filter": 'attributes.eventType = "OBJECT_DELETE"'}, "filters its messages"),
        ({"topic": "_deleted-topic_"}, "was deleted"),
    ):
        subscription = google.subscription(SUBSCRIPTION)
        before = {name: getattr(subscription, name) for name in differs}
        for name, value in differs.items():
            setattr(subscription, name, value)
        with pytest.raises(CannotConfigure, match=error):
            run_apply(selection, topic="other")
        for name, value in before.items():
            setattr(subscription, name, value)


def test_apply_waits_until_a_grant_takes_effect(
    read: Read, google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.new_bucket("b")
    selection = selected(read, google, "acme=gs://b")
    monkeypatch.setattr(gcp_apply, "_PAUSE_S", 0.01)
    denied = (403, f"The service account '{AGENT}' may not publish to the topic '//pubsub.googleapis.com/{TOPIC}'.")
    google.errors += [denied, denied]
    assert run_apply(selection)
    assert google.buckets["b"]["notifications"]
    google.buckets["b"]["notifications"].clear()
    google.errors.append((403, "acme@x does not have storage.buckets.update access to the bucket."))
    with pytest.raises(CannotConfigure, match=r"storage\.buckets\.update"):
        run_apply(selection)
    google.errors.append((412, "A policy of the organisation forbids it."))
    with pytest.raises(ProvisioningError, match="forbids it") as refused:
        run_apply(selection)
    assert not isinstance(refused.value, CannotConfigure)


def test_a_missing_bucket_is_reported(read: Read, google: GoogleCloud) -> None:
    with pytest.raises(CannotConfigure, match=r"get bucket nowhere .*storage\.buckets\.get"):
        run_apply(selected(read, google, "acme=gs://nowhere"))


def test_missing_credentials_are_reported(read: Read) -> None:
    selection = select(read('[[source]]\nname = "a"\ncustomer = "A"\nurl = "gs://b"\n'), ["a"], scheme="gs")
    with pytest.raises(CannotConfigure, match="no Google credentials were found"):
        _ = Google(selection, None).project


def test_a_missing_library_is_named_with_the_install_command() -> None:
    program = (
        "import sys; sys.modules['google.pubsub_v1'] = None\n"
        "from roomledger.provisioning import CannotConfigure\n"
        "try: import roomledger.provisioning.gcp.apply\n"
        "except CannotConfigure as error: print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed == "google.pubsub_v1 is not installed: pip install 'roomledger[pubsub]'\n"
