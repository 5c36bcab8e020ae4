"""From the bucket to the notice, with real servers: what an upload brings leads to just what a listing finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from roomledger import stores
from roomledger.model import Observation
from roomledger.queues import Notification, gcs_events, s3_events
from roomledger.runtime import open_store
from sandbox.servers.gcs import GcsServer, gcs_server
from sandbox.servers.pubsub.server import PubSubServer
from sandbox.servers.s3 import S3Server
from tests.queues.conftest import Place, aws, numbers, pubsub_place, session, sqs_place

KEYS = ("live/chat/room/Rec-1.csv", "live/a+b c%20d%/Zoë 日本\U0001f600", "live/q?x=1&y#z", "live/x//y")


def listed(store: stores.Store) -> dict[str, Observation]:
    return {seen.uri: seen for page in store.list() for seen in page}


def drain(place: Place, count: int) -> list[Notification]:
    """The notifications of as many messages."""
    queue, messages = place.open(), []
    while len(messages) < count:
        found = queue.receive(10)
        assert found, f"{len(messages)} of {count} messages came"
        queue.ack(found)
        messages += found
    decode = s3_events.notifications if place.settings.url.startswith("sqs:") else gcs_events.notifications
    return [notification for message in messages for notification in decode(message)]


class Ways:
    """The ways on which a bucket's events come to a queue."""

    def __init__(self, server: S3Server) -> None:
        self.s3, self.sqs, self.sns, self.events = (aws(server, name) for name in ("s3", "sqs", "sns", "events"))
        self.place = sqs_place(server)
        self.bucket = f"events-{next(numbers)}"
        self.s3.create_bucket(Bucket=self.bucket)
        name = self.place.settings.url.removeprefix("sqs://")
        self.queue_url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        asked = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        self.queue = asked["Attributes"]["QueueArn"]

    def notify(self, **configuration: Any) -> None:
        self.s3.put_bucket_notification_configuration(Bucket=self.bucket, NotificationConfiguration=configuration)

    def topic(self, *, raw: bool) -> str:
        topic: str = self.sns.create_topic(Name=f"topic-{next(numbers)}")["TopicArn"]
        attributes = {"RawMessageDelivery": "true"} if raw else {}
        self.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=self.queue, Attributes=attributes)
        return topic

    def rule(self, target: str) -> None:
        name = f"rule-{next(numbers)}"
        pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [self.bucket]}}}
        self.events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        assert not self.events.put_targets(Rule=name, Targets=[{"Id": "1", "Arn": target}])["FailedEntryCount"]
        self.notify(EventBridgeConfiguration={})

    def direct(self) -> None:
        self.notify(QueueConfigurations=[{"QueueArn": self.queue, "Events": ALL}])

    def through_sns(self) -> None:
        self.notify(TopicConfigurations=[{"TopicArn": self.topic(raw=False), "Events": ALL}])

    def through_sns_raw(self) -> None:
        self.notify(TopicConfigurations=[{"TopicArn": self.topic(raw=True), "Events": ALL}])

    def through_event_bridge(self) -> None:
        self.rule(self.queue)

    def through_event_bridge_and_sns(self) -> None:
        self.rule(self.topic(raw=False))


ALL = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
WAYS = ("direct", "through_sns", "through_sns_raw", "through_event_bridge", "through_event_bridge_and_sns")


@pytest.mark.parametrize("way", WAYS)
def test_an_upload_to_s3_leads_to_what_the_listing_finds(way: str, s3: S3Server) -> None:
    ways = Ways(s3)
    getattr(ways, way)()
    for key in KEYS:
        ways.s3.put_object(Bucket=ways.bucket, Key=key, Body=key.encode())
    test_events = 0 if "event_bridge" in way else 1
    store = open_store(f"s3://{ways.bucket}", stores.Access(session=session(s3), endpoint=s3.endpoint))
    notices = drain(ways.place, len(KEYS) + test_events)
    assert {notice.seen for notice in notices} == {None}
    assert {notice.uri: store.stat(notice.uri) for notice in notices} == listed(store)
    ways.s3.delete_object(Bucket=ways.bucket, Key=KEYS[1])
    [notice] = drain(ways.place, 1)
    assert notice == Notification(f"s3://{ways.bucket}/{KEYS[1]}", None)
    assert store.stat(notice.uri) is None


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory, pubsub: PubSubServer) -> Iterator[tuple[GcsServer, Place]]:
    """A GCS that tells a subscription of everything."""
    place = pubsub_place(pubsub)
    topic = place.settings.url.replace("pubsub://demo/sub-", "projects/demo/topics/topic-")
    with gcs_server(tmp_path_factory.mktemp("telling"), topic, pubsub.host) as server:
        yield server, place


def test_an_upload_to_gcs_names_what_the_listing_finds(telling: tuple[GcsServer, Place]) -> None:
    server, place = telling
    bucket = f"events-{next(numbers)}"

    def ask(method: str, path: str, **request: Any) -> None:
        requests.request(method, f"{server.endpoint}{path}", timeout=30, **request).raise_for_status()

    ask("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": bucket})
    for key in KEYS:
        parameters = {"uploadType": "media", "name": key}
        ask("POST", f"/upload/storage/v1/b/{bucket}/o", params=parameters, data=key.encode())
    store = open_store(f"gs://{bucket}", stores.Access(endpoint=server.endpoint))
    found = listed(store)
    assert {notice.uri: notice.seen for notice in drain(place, len(KEYS))} == found
    assert {uri: store.stat(uri) for uri in found} == found

    uri, path = f"gs://{bucket}/{KEYS[1]}", f"/storage/v1/b/{bucket}/o/{quote(KEYS[1], safe='')}"
    ask("PATCH", path, json={"metadata": {"checked": "yes"}})
    assert drain(place, 1) == [Notification(uri, found[uri])]
    ask("DELETE", path)
    assert drain(place, 1) == [Notification(uri, None)]
    assert store.stat(uri) is None
