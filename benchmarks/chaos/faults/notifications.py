"""Fault proxies in an installation: its buckets notify the proxies, and only the proxies notify Roomledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any

import boto3
from google import pubsub_v1 as api

from benchmarks.chaos.faults.delivery import RandomDelays
from benchmarks.chaos.faults.fault_proxy import FaultProxy
from roomledger.queues import Message
from sandbox.servers.installation import QUEUE, SUBSCRIPTION, TOPIC, Installation
from sandbox.up import ring

INTERCEPTED, FORWARDED = "intercepted", "forwarded"
"""Names of the queue and subscription that the proxies read, and of the Pub/Sub topic that they write to."""
_PEEK_LEASE_S = 30.0
"""A reader that only peeks leases a message for less than this."""


@contextmanager
def fault_proxies(installation: Installation, new_delays: Callable[[], RandomDelays]) -> Iterator[list[FaultProxy]]:
    """Put a proxy before each queue of the installation, and run the proxies until the block ends.

    Raises at the end of the block the first exception of a proxy.
    """
    stopping = threading.Event()

    def run(proxy: FaultProxy) -> None:
        while not stopping.wait(0.1):
            proxy.run_once()

    ring(installation)
    with _s3_proxy(installation, new_delays()) as s3, ThreadPoolExecutor(2, "fault-proxy") as threads:
        proxies = [s3, _gcs_proxy(installation, new_delays())]
        running = [threads.submit(run, proxy) for proxy in proxies]
        try:
            yield proxies
        finally:
            stopping.set()
        for each in running:
            each.result()


@contextmanager
def _s3_proxy(installation: Installation, delays: RandomDelays) -> Iterator[FaultProxy]:
    server = installation.s3
    session = boto3.Session(server.access_key, server.secret_key, region_name=server.region)
    with (
        closing(session.client("sqs", endpoint_url=server.endpoint)) as sqs,
        closing(session.client("s3", endpoint_url=server.endpoint)) as s3,
    ):
        intercepted = sqs.create_queue(QueueName=INTERCEPTED)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=intercepted, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for bucket in installation.world.buckets:
            if bucket.scheme == "s3":
                events = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
                s3.put_bucket_notification_configuration(
                    Bucket=bucket.name, NotificationConfiguration={"QueueConfigurations": [events]}
                )
        queue = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

        def count(*kinds: str) -> int:
            names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
            counts: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
            return sum(map(int, counts.values()))

        def receive() -> list[Message]:
            messages = sqs.receive_message(QueueUrl=intercepted, MaxNumberOfMessages=10).get("Messages", [])
            for one in messages:
                sqs.delete_message(QueueUrl=intercepted, ReceiptHandle=one["ReceiptHandle"])
            return [Message(one["MessageId"], one["Body"].encode(), {}, "") for one in messages]

        yield FaultProxy(
            "S3 events",
            "s3",
            "s3_event",
            receive,
            forward=lambda message: sqs.send_message(QueueUrl=queue, MessageBody=message.body.decode()),
            backlog=lambda: count("", "NotVisible"),
            has_in_flight=lambda: count("NotVisible") > 0,
            delays=delays,
        )


def _gcs_proxy(installation: Installation, delays: RandomDelays) -> FaultProxy:
    pubsub = installation.pubsub
    assert pubsub
    project = "demo"
    pubsub.unsubscribe(f"pubsub://{project}/{SUBSCRIPTION}")
    pubsub.subscribe(f"pubsub://{project}/{SUBSCRIPTION}", FORWARDED)
    pubsub.subscribe(f"pubsub://{project}/{INTERCEPTED}", TOPIC)
    intercepted = f"projects/{project}/subscriptions/{INTERCEPTED}"
    # The Pub/Sub protocol cannot count the messages of a subscription, so this reads the simulator's own state.
    subscription = pubsub.broker._subscriptions[f"projects/{project}/subscriptions/{SUBSCRIPTION}"]

    def receive() -> list[Message]:
        keep_waiting = iter((True, False))  # Ask once, and do not wait for messages.
        request = api.PullRequest(subscription=intercepted, max_messages=1000)
        messages = pubsub.broker.pull(request, lambda: next(keep_waiting)).received_messages
        ack_ids = [one.ack_id for one in messages]
        pubsub.broker.acknowledge(api.AcknowledgeRequest(subscription=intercepted, ack_ids=ack_ids))
        return [Message(one.message.message_id, one.message.data, dict(one.message.attributes), "") for one in messages]

    def forward(message: Message) -> None:
        pubsub.publish(f"projects/{project}/topics/{FORWARDED}", [message.body], **message.attributes)

    def has_in_flight() -> bool:
        with suppress(RuntimeError):  # Another thread may change the dict during the iteration.
            return any(until - time.monotonic() > _PEEK_LEASE_S for until, _ in subscription.lent.values())
        return False

    return FaultProxy(
        "GCS events",
        "gs",
        "gcs_event",
        receive,
        forward,
        backlog=lambda: len(subscription.waiting) + len(subscription.lent),
        has_in_flight=has_in_flight,
        delays=delays,
    )
