"""Webhooks as the vendor sends them: events that are posted, tried again a few times, and then lost.

Only the answer 200 counts as received (vendor documentation). Events come at least once and in any order.
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
    """Open what posts; several threads may share it."""
    # Servers of the demo are on this machine: no proxy leads there, and none has a certificate that is worth a look.
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
    """Post an event until it is received or given up; give whether it was received.

    The secret stands in the header of that name. With a signing secret the body is signed. `scale` is a factor for the
    pauses between attempts.
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
            pass  # nobody is there, or hung up: the same as a bad answer
    return False


class Posted(NamedTuple):
    """What became of events, by their ids; one that was posted twice stands there twice."""

    received: list[str]
    given_up: list[str]
    dropped: list[str]
    """Never posted."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts events to one endpoint from several threads; by default each of them once, and they begin in order."""

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
    """Share of the others that are posted twice."""
    shuffle: bool = False
    delay_s: float = 0
    """Each waits up to this long before it is first posted, and holds up its thread."""
    seed: int = 100
    """What is drawn for a seed is always the same."""

    def post(self, events: Sequence[Record]) -> Posted:
        """Post these, and wait until all are received or given up."""
        rng = Random(self.seed)
        lost = {*rng.sample(range(len(events)), round(self.drop * len(events)))}
        sent = [event for place, event in enumerate(events) if place not in lost]
        twice = {*rng.sample(range(len(sent)), round(self.double * len(sent)))}
        sent = [event for place, event in enumerate(sent) for _ in range(2 if place in twice else 1)]
        if self.shuffle:
            rng.shuffle(sent)
        delays = [rng.uniform(0, self.delay_s) for _ in sent]
        with new_client() as client, ThreadPoolExecutor(self.threads, "webhooks") as pool:
            received = [*pool.map(lambda event, delay: self._post(client, event, delay), sent, delays)]
        return Posted(
            received=[event["id"] for event, taken in zip(sent, received, strict=True) if taken],
            given_up=[event["id"] for event, taken in zip(sent, received, strict=True) if not taken],
            dropped=[event["id"] for place, event in enumerate(events) if place in lost],
        )

    def _post(self, client: httpx.Client, event: Record, delay_s: float) -> bool:
        time.sleep(delay_s)
        return post(event, self.url, self.header, self.secret, self.signing_secret, scale=self.scale, client=client)
