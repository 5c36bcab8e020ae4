"""Webhook delivery: events are posted, retried a few times, and then given up.

Only status 200 counts as received (vendor documentation). Delivery is at least once and in any order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

import httpx

from sandbox.dataset.workspace import Record

PAUSES_S = (1, 3, 10)
"""Seconds before each further attempt (vendor documentation)."""
SIGNATURE_HEADER = "x-100ms-signature"
TIMEOUT_S = 30


def new_client() -> httpx.Client:
    """A client for `post`; several threads may share it."""
    # The receivers are local servers: they need no proxy, and their certificates are not signed.
    return httpx.Client(timeout=TIMEOUT_S, verify=False, trust_env=False)


def post(
    event: Record,
    url: str,
    header: str,
    secret: str,
    signing_secret: str | None = None,
    *,
    scale: float = 1,
    client: httpx.Client | None = None,
) -> bool:
    """Post an event until it is received or given up, and return whether it was received.

    `header` is the name of the header with the secret. The body is signed if there is a signing secret. `scale` is a
    factor for the pauses between attempts.
    """
    if client is None:
        with new_client() as client:
            return post(event, url, header, secret, signing_secret, scale=scale, client=client)
    body = json.dumps(event, ensure_ascii=False).encode()
    headers = {b"Content-Type": b"application/json", header.encode(): secret.encode()}
    if signing_secret is not None:
        signature = hmac.new(signing_secret.encode(), body, hashlib.sha256).hexdigest()
        headers[SIGNATURE_HEADER.encode()] = signature.encode()
    for pause in (0, *PAUSES_S):
        time.sleep(pause * scale)
        try:
            if client.post(url, content=body, headers=headers).status_code == httpx.codes.OK:
                return True
        except httpx.RequestError:
            pass  # no connection or no response: counts as any other failure
    return False


class Posted(NamedTuple):
    """Ids of events by result; an event that was posted twice is there twice."""

    received: list[str]
    given_up: list[str]
    dropped: list[str]
    """Never posted."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts events to one endpoint from several threads; by default each event once, started in order."""

    url: str
    header: str
    secret: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    threads: int = 8
    scale: float = 1
    """Factor for the pauses between attempts."""
    drop: float = 0
    """Share of the events that are never posted."""
    double: float = 0
    """Share of the other events that are posted twice."""
    shuffle: bool = False
    delay_s: float = 0
    """Longest random delay before the first attempt of an event; its thread waits too."""
    seed: int = 100
    """Seed of all random choices."""

    def post(self, events: Sequence[Record]) -> Posted:
        """Post these events, and wait until all are received or given up."""
        rng = Random(self.seed)
        dropped = {*rng.sample(range(len(events)), round(self.drop * len(events)))}
        sent = [event for index, event in enumerate(events) if index not in dropped]
        twice = {*rng.sample(range(len(sent)), round(self.double * len(sent)))}
        sent = [event for index, event in enumerate(sent) for _ in range(2 if index in twice else 1)]
        if self.shuffle:
            rng.shuffle(sent)
        delays = [rng.uniform(0, self.delay_s) for _ in sent]
        with new_client() as client, ThreadPoolExecutor(self.threads, "webhooks") as pool:
            received = [*pool.map(lambda event, delay: self._post(client, event, delay), sent, delays)]
        return Posted(
            received=[event["id"] for event, is_received in zip(sent, received, strict=True) if is_received],
            given_up=[event["id"] for event, is_received in zip(sent, received, strict=True) if not is_received],
            dropped=[event["id"] for index, event in enumerate(events) if index in dropped],
        )

    def _post(self, client: httpx.Client, event: Record, delay_s: float) -> bool:
        time.sleep(delay_s)
        return post(event, self.url, self.header, self.secret, self.signing_secret, scale=self.scale, client=client)
