"""The contract of a queue of bucket events, tested for each kind with a real server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest

from roomledger import queues
from tests.queues.conftest import CloudQueue


def numbered(count: int) -> list[bytes]:
    return [f"message {number}".encode() for number in range(count)]


def bodies(messages: list[queues.Message]) -> list[bytes]:
    return sorted(message.body for message in messages)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def test_an_empty_queue_gives_nothing(cloud_queue: CloudQueue) -> None:
    queue = cloud_queue.open()
    with at_most(6):
        assert not queue.peek(0)
        assert queue.receive(0) == []


def test_a_message_is_received_as_it_was_sent(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(['{"key": "Zoë\\n日本\U0001f600"}'.encode()], {"eventType": "x", "objectId": "Zoë/日本"})
    queue = cloud_queue.open()
    [message] = queue.receive(5)
    assert message.body == '{"key": "Zoë\\n日本\U0001f600"}'.encode()
    assert message.attributes == {"eventType": "x", "objectId": "Zoë/日本"}
    assert message.message_id
    assert message.receipt


def test_a_waiting_message_is_received_at_once(cloud_queue: CloudQueue) -> None:
    queue = cloud_queue.open()
    assert queue.receive(0) == []  # connected
    cloud_queue.send([b"message"], {})
    with at_most(1.5):
        assert queue.peek(10)
        assert bodies(queue.receive(10)) == [b"message"]


def test_a_new_message_ends_the_wait(cloud_queue: CloudQueue) -> None:
    queue = cloud_queue.open()
    for verb in (queue.peek, queue.receive):
        sender = threading.Timer(1, cloud_queue.send, ([b"message"], {}))
        sender.start()
        with at_most(4):
            assert verb(15)
        sender.join()


def test_peek_removes_nothing(cloud_queue: CloudQueue) -> None:
    queue = cloud_queue.open()
    cloud_queue.send([b"message"], {})
    assert [queue.peek(5) for _ in range(5)] == [True] * 5
    assert bodies(queue.receive(0)) == [b"message"]


def test_a_received_message_is_hidden_from_other_receivers(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(3), {})
    assert bodies(cloud_queue.open().receive(5)) == numbered(3)
    other = cloud_queue.open()
    assert not other.peek(0)
    assert other.receive(0) == []


def test_a_message_that_is_not_acknowledged_is_delivered_again(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(3), {})
    queue = cloud_queue.open()
    queue.visibility_timeout_s = 1
    first = queue.receive(5)
    queue.ack([message for message in first if message.body == b"message 1"])
    again: list[queues.Message] = []
    while len(again) < 2:
        found = queue.receive(5)
        queue.ack(found)
        again += found
    assert bodies(again) == [b"message 0", b"message 2"]
    assert {message.message_id for message in again} < {message.message_id for message in first}


def test_extend_hides_messages_longer(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(3), {})
    queue = cloud_queue.open()
    queue.visibility_timeout_s = 2
    messages = queue.receive(5)
    queue.visibility_timeout_s = 60
    queue.extend(messages)
    time.sleep(2.2)
    assert queue.receive(0) == []


def test_ack_twice_or_too_late_is_not_an_error(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(2), {})
    queue = cloud_queue.open()
    queue.visibility_timeout_s = 1
    messages = queue.receive(5)
    queue.ack(messages[:1])
    time.sleep(1.5)
    queue.ack(messages)
    queue.ack(messages + messages)
    queue.extend(messages)
    queue.ack([])
    queue.extend([])


def test_no_more_messages_are_received_than_requested(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(25), {})
    queue = cloud_queue.open()
    found = []
    for most in (1, 12, 12, 12):
        messages = queue.receive(0, most)
        assert len(messages) <= most
        found += messages
    assert bodies(found) == sorted(numbered(25))


def test_a_thousand_messages_are_received_and_acknowledged_in_seconds(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(1000), {})
    queue = cloud_queue.open()
    with at_most(10):
        found = queue.receive(5)
        assert len(found) == queues.MOST_MESSAGES == 1000
        queue.extend(found)
        queue.ack(found)
    assert bodies(found) == sorted(numbered(1000))
    assert queue.receive(0) == []


def test_many_threads_share_a_queue(cloud_queue: CloudQueue) -> None:
    cloud_queue.send(numbered(400), {})
    queue = cloud_queue.open()

    def work(_: int) -> list[queues.Message]:
        found = queue.receive(0, 30)
        queue.ack(found)
        return found

    with ThreadPoolExecutor(8) as threads:
        found = [message for messages in threads.map(work, range(24)) for message in messages]
    assert bodies(found) == sorted(numbered(400))


def test_a_missing_queue_is_named(cloud_queue: CloudQueue) -> None:
    url = cloud_queue.settings.url + "-missing"
    queue = replace(cloud_queue, settings=replace(cloud_queue.settings, url=url)).open()
    message = queues.Message("id", b"", {}, "receipt")
    for attempt in (
        lambda: queue.peek(0),
        lambda: queue.receive(0),
        lambda: queue.extend([message]),
        lambda: queue.ack([message]),
    ):
        with pytest.raises(queues.QueueError, match=rf"has no (queue|subscription) {url}.*: .*check the queue's url"):
            attempt()
