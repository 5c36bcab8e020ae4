"""Carriers between the buckets of an installation and the queues that it listens on: the buckets ring theirs alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

import boto3
from google import pubsub_v1 as api

from benchmarks.chaos.faults.fault_proxy import Carrier
from benchmarks.chaos.faults.schedule import Fates
from roomledger.queues import Message
from sandbox.servers.installation import QUEUE, SUBSCRIPTION, TOPIC, Installation
from sandbox.up import ring

MISCHIEF = "mischief"
"""Name of the queue and of the subscription that the buckets ring."""
_LENT_S = 30.0
"""Who only looks whether something waits is lent a message for less."""


@contextmanager
def carriers(place: Installation, fates: Callable[[], Fates]) -> Iterator[list[Carrier]]:
    """Step between the buckets and the queues of this installation, and carry until the block ends.

    Raises then what went wrong.
    """
    over = threading.Event()
    failures: list[Exception] = []

    def carry(carrier: Carrier) -> None:
        try:
            while not over.is_set():
                carrier.carry()
                over.wait(0.1)
        except Exception as error:
            failures.append(error)

    ring(place)
    with _s3_carrier(place, fates()) as s3:
        found = [s3, _gcs_carrier(place, fates())]
        threads = [threading.Thread(target=carry, args=[each], name=each.name) for each in found]
        for thread in threads:
            thread.start()
        try:
            yield found
        finally:
            over.set()
            for thread in threads:
                thread.join()
    if failures:
        raise failures[0]


@contextmanager
def _s3_carrier(place: Installation, fates: Fates) -> Iterator[Carrier]:
    session = boto3.Session(place.s3.access_key, place.s3.secret_key, region_name=place.s3.region)
    with (
        closing(session.client("sqs", endpoint_url=place.s3.endpoint)) as sqs,
        closing(session.client("s3", endpoint_url=place.s3.endpoint)) as s3,
    ):
        rung = sqs.create_queue(QueueName=MISCHIEF)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=rung, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for bucket in place.world.buckets:
            if bucket.scheme == "s3":
                events = {"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
                s3.put_bucket_notification_configuration(
                    Bucket=bucket.name, NotificationConfiguration={"QueueConfigurations": [events]}
                )
        listened = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]

        def count(*kinds: str) -> int:
            names = [f"ApproximateNumberOfMessages{kind}" for kind in kinds]
            found: dict[str, Any] = sqs.get_queue_attributes(QueueUrl=listened, AttributeNames=names)["Attributes"]
            return sum(map(int, found.values()))

        def take() -> list[Message]:
            found = sqs.receive_message(QueueUrl=rung, MaxNumberOfMessages=10).get("Messages", [])
            for one in found:
                sqs.delete_message(QueueUrl=rung, ReceiptHandle=one["ReceiptHandle"])
            return [Message(one["MessageId"], one["Body"].encode(), {}, "") for one in found]

        yield Carrier(
            "S3 events",
            "s3",
            "s3_event",
            take,
            lambda message: sqs.send_message(QueueUrl=listened, MessageBody=message.body.decode()),
            lambda: count("", "NotVisible"),
            lambda: count("NotVisible") > 0,
            fates,
        )


def _gcs_carrier(place: Installation, fates: Fates) -> Carrier:
    pubsub = place.pubsub
    assert pubsub
    project = "demo"
    listened = f"pubsub://{project}/{SUBSCRIPTION}"
    pubsub.unsubscribe(listened)
    pubsub.subscribe(listened, "passed-on")
    pubsub.subscribe(f"pubsub://{project}/{MISCHIEF}", TOPIC)
    rung = f"projects/{project}/subscriptions/{MISCHIEF}"
    # Only the stand-in itself knows how much it holds: Pub/Sub's protocol has no word for it.
    held = pubsub.broker._subscriptions[f"projects/{project}/subscriptions/{SUBSCRIPTION}"]

    def take() -> list[Message]:
        still_asked = iter((True, False))  # who asks once does not wait for more
        pulled = pubsub.broker.pull(api.PullRequest(subscription=rung, max_messages=1000), lambda: next(still_asked))
        found = pulled.received_messages
        pubsub.broker.acknowledge(api.AcknowledgeRequest(subscription=rung, ack_ids=[one.ack_id for one in found]))
        return [Message(one.message.message_id, one.message.data, dict(one.message.attributes), "") for one in found]

    def is_held() -> bool:
        with suppress(RuntimeError):  # it may change under our eyes
            return any(until - time.monotonic() > _LENT_S for until, _ in held.lent.values())
        return False

    return Carrier(
        "GCS events",
        "gs",
        "gcs_event",
        take,
        lambda message: pubsub.publish(f"projects/{project}/topics/passed-on", [message.body], **message.attributes),
        lambda: len(held.waiting) + len(held.lent),
        is_held,
        fates,
    )
