"""From the bucket to the notification, with real servers: it leads to the same observation as a listing."""

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
from tests.queues.conftest import CloudQueue, aws, numbers, pubsub_queue, session, sqs_queue

KEYS = ("live/chat/room/Rec-1.csv", "live/a+b c%20d%/Zoë 日本\U0001f600", "live/q?x=1&y#z", "live/x//y")


def listed(store: stores.Store) -> dict[str, Observation]:
    return {seen.uri: seen for page in store.list() for seen in page}


def drain(cloud_queue: CloudQueue, count: int) -> list[Notification]:
    """The notifications of as many messages."""
    queue, messages = cloud_queue.open(), []
    while len(messages) < count:
        found = queue.receive(10)
        assert found, f"{len(messages)} of {count} messages came"
        queue.ack(found)
        messages += found
    decode = s3_events.notifications if cloud_queue.settings.url.startswith("sqs:") else gcs_events.notifications
    return [notification for message in messages for notification in decode(message)]


class Paths:
    """The paths of a bucket's events to a queue."""

    def __init__(self, server: S3Server) -> None:
        self.s3, self.sqs, self.sns, self.events = (aws(server, name) for name in ("s3", "sqs", "sns", "events"))
        self.cloud_queue = sqs_queue(server)
        self.bucket = f"events-{next(numbers)}"
        self.s3.create_bucket(Bucket=self.bucket)
        name = self.cloud_queue.settings.url.removeprefix("sqs://")
        self.queue_url = self.sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["QueueArn"])
        self.queue = found["Attributes"]["QueueArn"]

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
PATHS = ("direct", "through_sns", "through_sns_raw", "through_event_bridge", "through_event_bridge_and_sns")


@pytest.mark.parametrize("path", PATHS)
def test_an_upload_to_s3_leads_to_the_observation_of_a_listing(path: str, s3: S3Server) -> None:
    paths = Paths(s3)
    getattr(paths, path)()
    for key in KEYS:
        paths.s3.put_object(Bucket=paths.bucket, Key=key, Body=key.encode())
    test_events = 0 if "event_bridge" in path else 1
    store = open_store(f"s3://{paths.bucket}", stores.Access(session=session(s3), endpoint=s3.endpoint))
    found = drain(paths.cloud_queue, len(KEYS) + test_events)
    assert {one.seen for one in found} == {None}
    assert {one.uri: store.stat(one.uri) for one in found} == listed(store)
    paths.s3.delete_object(Bucket=paths.bucket, Key=KEYS[1])
    [notification] = drain(paths.cloud_queue, 1)
    assert notification == Notification(f"s3://{paths.bucket}/{KEYS[1]}", None)
    assert store.stat(notification.uri) is None


@pytest.fixture(scope="module")
def notifying(tmp_path_factory: pytest.TempPathFactory, pubsub: PubSubServer) -> Iterator[tuple[GcsServer, CloudQueue]]:
    """A GCS that notifies a subscription of everything."""
    cloud_queue = pubsub_queue(pubsub)
    topic = cloud_queue.settings.url.replace("pubsub://demo/sub-", "projects/demo/topics/topic-")
    with gcs_server(tmp_path_factory.mktemp("notifying"), topic, pubsub.host) as server:
        yield server, cloud_queue


def test_an_upload_to_gcs_names_the_observation_of_a_listing(notifying: tuple[GcsServer, CloudQueue]) -> None:
    server, cloud_queue = notifying
    bucket = f"events-{next(numbers)}"

    def request(method: str, path: str, **parameters: Any) -> None:
        requests.request(method, f"{server.endpoint}{path}", timeout=30, **parameters).raise_for_status()

    request("POST", "/storage/v1/b", params={"project": "demo"}, json={"name": bucket})
    for key in KEYS:
        parameters = {"uploadType": "media", "name": key}
        request("POST", f"/upload/storage/v1/b/{bucket}/o", params=parameters, data=key.encode())
    store = open_store(f"gs://{bucket}", stores.Access(endpoint=server.endpoint))
    found = listed(store)
    assert {one.uri: one.seen for one in drain(cloud_queue, len(KEYS))} == found
    assert {uri: store.stat(uri) for uri in found} == found

    uri, path = f"gs://{bucket}/{KEYS[1]}", f"/storage/v1/b/{bucket}/o/{quote(KEYS[1], safe='')}"
    request("PATCH", path, json={"metadata": {"checked": "yes"}})
    assert drain(cloud_queue, 1) == [Notification(uri, found[uri])]
    request("DELETE", path)
    assert drain(cloud_queue, 1) == [Notification(uri, None)]
    assert store.stat(uri) is None
