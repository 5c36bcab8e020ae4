"""A fault proxy and the webhook log do and count exactly the faults that were drawn."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote_plus

from benchmarks.chaos.faults.delivery import DeliveryCounts, FaultRates, RandomDelays
from benchmarks.chaos.faults.fault_proxy import FaultProxy, ObjectVersion, announced_versions
from benchmarks.chaos.faults.webhooks import WebhookLog
from roomledger.queues import Message
from roomledger.queues.inbox import Inbox
from roomledger.runtime import open_inbox
from sandbox.hundredms_api.webhooks import Posted
from tests.rows import NOON


def s3_notification(key: str) -> bytes:
    announced = {"key": quote_plus(key), "eTag": '"v1"'}
    return json.dumps({"Records": [{"s3": {"bucket": {"name": "acme"}, "object": announced}}]}).encode()


def proxy_of(intercepted: Inbox, delays: RandomDelays, forwarded: list[bytes]) -> FaultProxy:
    """A proxy that reads an inbox and appends to a list."""

    def receive() -> Sequence[Message]:
        messages = intercepted.receive(0)
        intercepted.ack(messages)
        return messages

    def forward(message: Message) -> None:
        forwarded.append(message.body)

    return FaultProxy("S3 events", "s3", "s3_event", receive, forward, lambda: 0, lambda: False, delays)


def test_a_notification_is_dropped_duplicated_delayed_or_late_as_drawn(tmp_path: Path) -> None:
    rates = FaultRates(dropped=0.3, duplicated=0.5, late=0.3, max_delay_s=0.2)
    keys = [f"a b/ü+{number}.csv" for number in range(40)]
    drawn = {key: RandomDelays(1, rates).next(f"s3://acme/{key}") for key in keys}
    forwarded: list[bytes] = []
    intercepted = open_inbox(f"file://{tmp_path}/intercepted")
    proxy = proxy_of(intercepted, RandomDelays(1, rates), forwarded)
    for body in [*map(s3_notification, keys), b'{"Event": "s3:TestEvent"}']:
        intercepted.put("any", body, NOON)
    proxy.run_once()
    assert len(forwarded) < 5, "the others are delayed"
    while proxy.delayed:
        proxy.run_once()
    in_time = Counter({key: sum(delay is not None for delay in delays) for key, delays in drawn.items()})
    assert Counter(forwarded) == Counter(s3_notification(key) for key in in_time.elements())
    assert forwarded != [s3_notification(key) for key in in_time.elements()], "each copy has its own delay"
    assert proxy.sent == Counter(f"s3://acme/{key}" for key in keys)
    assert proxy.dropped == sum(not delays for delays in drawn.values()) > 0
    assert proxy.duplicated == sum(len(delays) > 1 for delays in drawn.values()) > 0
    assert len(proxy.late) == sum(delays.count(None) for delays in drawn.values()) > 0
    proxy.schedule_late()
    proxy.run_once()
    all_copies = Counter({key: len(delays) for key, delays in drawn.items()})
    assert Counter(forwarded) == Counter(s3_notification(key) for key in all_copies.elements())
    assert proxy.forwarded == Counter(
        {ObjectVersion(f"s3://acme/{key}", "v1"): count for key, count in all_copies.items() if count}
    )
    assert proxy.counts == DeliveryCounts(40, proxy.dropped, proxy.duplicated, len(proxy.late), len(forwarded))
    assert not intercepted.peek(0)


def test_a_notification_of_either_cloud_announces_its_object_version() -> None:
    attributes = {"bucketId": "acme", "objectId": "a b/ü+.csv", "objectGeneration": "7"}
    assert announced_versions(Message("1", s3_notification("a b/ü+.csv"), {}, "")) == [("s3://acme/a b/ü+.csv", "v1")]
    assert announced_versions(Message("1", b"{}", attributes, "")) == [("gs://acme/a b/ü+.csv", "7")]
    assert announced_versions(Message("1", b'{"Event": "s3:TestEvent"}', {}, "")) == []


def test_webhooks_are_acknowledged_dropped_or_unacknowledged() -> None:
    log = WebhookLog()
    events = [{"id": letter} for letter in "abcde"]
    # a was posted twice and acknowledged once, c only the second time, d never; e was not posted.
    log.record("talk", events[:3], Posted(["a", "b", "c"], ["a", "c"], []))
    log.record("other", events[3:], Posted([], ["d"], ["e"]))
    assert (log.acknowledged, log.dropped, log.unacknowledged) == ({"a", "b", "c"}, {"e"}, {"d"})
    assert log.events == {letter: ("talk" if letter < "d" else "other", {"id": letter}) for letter in "abcde"}
    assert log.counts == DeliveryCounts(sent=5, dropped=1, duplicated=2, late=0, received=3)
