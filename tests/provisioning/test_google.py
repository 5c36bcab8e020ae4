"""GCS buckets that ring, as Google's own clients set it, against as much of Google as that takes."""

from __future__ import annotations

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
from roomledger.provisioning.gcp.plan import names_of, needed, notification
from roomledger.provisioning.selection import Choice, choose
from roomledger.queues.pubsub import PubSub
from roomledger.settings import Settings
from roomledger.stores import Access
from tests.provisioning.google_cloud import AGENT, GoogleCloud

Read = Callable[[str], Settings]
READER = "serviceAccount:reader@acme-prod.iam.gserviceaccount.com"
TOPIC = "projects/acme-prod/topics/events"
SUBSCRIPTION = "projects/acme-prod/subscriptions/events"


def chosen(read: Read, cloud: GoogleCloud, *sources: str) -> Choice:
    """These sources, `name=url` each, with a queue called events."""
    tables = f'[[queue]]\nname = "q"\nurl = "pubsub://acme-prod/events"\nendpoint = "{cloud.pubsub}"\n'
    names = []
    for source in sources:
        name, _, url = source.partition("=")
        names.append(name)
        tables += f'[[source]]\nname = "{name}"\ncustomer = "A"\nurl = "{url}"\nendpoint = "{cloud.endpoint}"\n'
    return choose(read(tables), names, scheme="gs")


def rung(choice: Choice, *, topic: str | None = None, reader: str | None = None) -> list[str]:
    """What was changed."""
    cloud, names = Google(choice, None), names_of(choice, project=None, topic=topic, reader=reader)
    parts = needed(choice, names, reader=reader, agents=cloud.agents(choice.buckets))
    steps = list(gcp_apply.apply(cloud, parts))
    assert steps
    return [step.sentence for step in steps if step.changed]


def test_everything_is_set_once(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    choice = chosen(read, google, "acme=gs://b/live/ü")
    assert len(rung(choice, reader=READER)) == 6
    writes = google.writes
    assert rung(choice, reader=READER) == []
    assert google.writes == writes

    made = google.subscription(SUBSCRIPTION)
    assert made.topic == TOPIC
    assert (made.ack_deadline_seconds, made.message_retention_duration) == (120, timedelta(days=7))
    assert "expiration_policy" in made
    assert "ttl" not in made.expiration_policy
    assert not made.enable_exactly_once_delivery
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
        (one.role, list(one.members)) for path in (TOPIC, SUBSCRIPTION) for one in google.policies[path].bindings
    ]
    assert granted == [
        ("roles/pubsub.publisher", [f"serviceAccount:{AGENT}"]),
        ("roles/pubsub.subscriber", [READER]),
    ]
    assert google.buckets["b"]["policy"]["bindings"] == [{"role": "roles/storage.objectViewer", "members": [READER]}]


def test_what_the_topic_is_told_is_heard_where_the_settings_say(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    choice = chosen(read, google, "acme=gs://b")
    rung(choice)
    google.queues.publish(TOPIC, [b"{}"])
    assert choice.queue
    [heard] = PubSub(choice.queue, Access()).receive(5)
    assert heard.body == b"{}"


def test_sources_come_to_one_queue_one_after_the_other(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    google.new_bucket("c")
    sources = ("one=gs://b/1", "two=gs://b/2", "three=gs://c")
    assert rung(chosen(read, google, sources[0]), reader=READER)
    assert len(rung(chosen(read, google, *sources[1:]), reader=READER)) == 3  # two notifications and one grant
    assert [n.get("object_name_prefix") for n in google.buckets["b"]["notifications"]] == ["1/", "2/"]
    assert "object_name_prefix" not in google.buckets["c"]["notifications"][0]
    assert rung(chosen(read, google, *sources), reader=READER) == []


def test_what_others_have_set_stays(read: Read, google: GoogleCloud) -> None:
    google.new_bucket("b")
    theirs = {"id": "9", "topic": "//pubsub.googleapis.com/projects/theirs/topics/theirs", "payload_format": "NONE"}
    bound = {
        "role": "roles/storage.objectViewer",
        "members": [READER],
        "condition": {"title": "t", "expression": "request.time < timestamp('2027-01-01T00:00:00Z')"},
    }
    google.buckets["b"]["notifications"].append(theirs)
    google.buckets["b"]["policy"]["bindings"].append(bound)
    # The same role, but only for a while.
    condition = expr_pb2.Expr(title="t", expression="request.time < timestamp('2027-01-01T00:00:00Z')")
    ours = policy_pb2.Binding(role="roles/pubsub.subscriber", members=[READER], condition=condition)
    google.policies[SUBSCRIPTION] = policy_pb2.Policy(etag=b"1", version=3, bindings=[ours])
    google.queues.subscribe("pubsub://acme-prod/events", "events", ack_deadline_seconds=30, labels={"team": "a"})

    told = rung(chosen(read, google, "acme=gs://b"), reader=READER)
    [changed] = [sentence for sentence in told if sentence.startswith(f"subscription {SUBSCRIPTION}")]
    assert "ack_deadline_seconds, was 30" in changed
    found = google.subscription(SUBSCRIPTION)
    assert (found.ack_deadline_seconds, dict(found.labels)) == (120, {"team": "a"})
    assert google.buckets["b"]["notifications"][0] == theirs
    bindings = google.buckets["b"]["policy"]["bindings"]
    assert bindings == [bound, {"role": "roles/storage.objectViewer", "members": [READER]}]
    policy = google.policies[SUBSCRIPTION]
    assert (policy.version, policy.bindings[0], len(policy.bindings)) == (3, ours, 2)


WANTED = notification(Target("acme", "b", "live/eu/"), f"//pubsub.googleapis.com/{TOPIC}")


@pytest.mark.parametrize(
    ("differs", "rings"),
    [
        ({}, True),
        ({"event_types": None}, True),  # all that there are
        ({"object_name_prefix": "live/"}, True),
        ({"object_name_prefix": None}, True),
        ({"object_name_prefix": "live/eu/chat/"}, False),
        ({"event_types": ["OBJECT_FINALIZE"]}, False),
        ({"payload_format": "NONE"}, False),
        ({"topic": "//pubsub.googleapis.com/projects/acme-prod/topics/other"}, False),
    ],
)
def test_a_bucket_that_rings_already_is_left_alone(
    read: Read, google: GoogleCloud, differs: dict[str, Any], rings: bool
) -> None:
    there = {key: value for key, value in (WANTED | differs).items() if value is not None}
    google.new_bucket("b")
    google.buckets["b"]["notifications"].append(there | {"id": "7"})
    rung(chosen(read, google, "acme=gs://b/live/eu"))
    assert len(google.buckets["b"]["notifications"]) == (1 if rings else 2)


def test_a_subscription_that_could_never_hear_is_told_before_anything_is_changed(
    read: Read, google: GoogleCloud
) -> None:
    google.new_bucket("b")
    google.queues.subscribe("pubsub://acme-prod/events", "other")
    choice = chosen(read, google, "acme=gs://b")
    with pytest.raises(CannotConfigure, match=r"hears topic projects/acme-prod/topics/other .*--topic other"):
        rung(choice)
    assert google.buckets["b"]["notifications"] == []
    assert rung(choice, topic="other")
    for differs, said in (
        ({"push_config": api.PushConfig(push_endpoint="https://example.org")}, "sends its messages away"),
        ({"filter": 'attributes.eventType = "OBJECT_DELETE"'}, "filters its messages"),
        ({"topic": "_deleted-topic_"}, "was deleted"),
    ):
        subscription = google.subscription(SUBSCRIPTION)
        before = {name: getattr(subscription, name) for name in differs}
        for name, value in differs.items():
            setattr(subscription, name, value)
        with pytest.raises(CannotConfigure, match=said):
            rung(choice, topic="other")
        for name, value in before.items():
            setattr(subscription, name, value)


def test_a_grant_that_is_not_seen_yet_is_waited_for(
    read: Read, google: GoogleCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.new_bucket("b")
    choice = chosen(read, google, "acme=gs://b")
    monkeypatch.setattr(gcp_apply, "_PAUSE_S", 0.01)
    may_not = (403, f"The service account '{AGENT}' may not publish to the topic '//pubsub.googleapis.com/{TOPIC}'.")
    google.refusals += [may_not, may_not]
    assert rung(choice)
    assert google.buckets["b"]["notifications"]
    google.buckets["b"]["notifications"].clear()
    google.refusals.append((403, "acme@x does not have storage.buckets.update access to the bucket."))
    with pytest.raises(CannotConfigure, match=r"storage\.buckets\.update"):
        rung(choice)
    google.refusals.append((412, "A policy of the organisation forbids it."))
    with pytest.raises(ProvisioningError, match="forbids it") as refused:
        rung(choice)
    assert not isinstance(refused.value, CannotConfigure)


def test_a_bucket_that_is_not_there_is_told(read: Read, google: GoogleCloud) -> None:
    with pytest.raises(CannotConfigure, match=r"look at bucket nowhere .*storage\.buckets\.get"):
        rung(chosen(read, google, "acme=gs://nowhere"))


def test_credentials_are_looked_for_and_missed(read: Read) -> None:
    choice = choose(read('[[source]]\nname = "a"\ncustomer = "A"\nurl = "gs://b"\n'), ["a"], scheme="gs")
    with pytest.raises(CannotConfigure, match="no Google credentials were found"):
        _ = Google(choice, None).project


def test_without_googles_libraries_it_says_what_to_install(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = choose(read('[[source]]\nname = "a"\ncustomer = "A"\nurl = "gs://b"\n'), ["a"], scheme="gs")
    monkeypatch.setitem(sys.modules, "google.cloud.storage", None)
    with pytest.raises(CannotConfigure, match=r"google\.cloud\.storage .*pip install google-cloud-storage"):
        Google(choice, None)
