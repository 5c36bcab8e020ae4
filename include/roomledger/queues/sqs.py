"""Amazon SQS as a queue: S3 sends events of objects to it, directly or through SNS or EventBridge.

`peek` receives a message without hiding it from others, and SQS counts that as a receive: a dead-letter policy with a
small `maxReceiveCount` would remove messages that only had to wait. The queue needs no such policy, since rejected
messages are acknowledged, too; the largest count that SQS accepts, 1000, does no harm.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types

from roomledger.queues import MOST_MESSAGES, Message, QueueError, sqs_errors
from roomledger.settings import QueueSettings
from roomledger.stores import Access, aws_client

_BATCH = 10
"""Messages in one call at most (vendor documentation)."""
_LONGEST_POLL_S = 20
"""Whole seconds that one call may wait (vendor documentation)."""
_THREADS = 8


class Sqs:
    """One queue; its address at SQS is requested with the first verb."""

    visibility_timeout_s = 120.0

    def __init__(self, settings: QueueSettings, access: Access) -> None:
        self.url = settings.url
        self._sqs_url: str | None = None
        self._parts = settings.parts
        self._endpoint = settings.endpoint or access.endpoint
        session = access.session or boto3.Session()
        aws_client.require_credentials(session, self.url)
        config, region = aws_client.client_config(self._endpoint), settings.region or access.region
        try:
            self._client = session.client("sqs", region_name=region, endpoint_url=self._endpoint, config=config)
        except (*aws_client.ERRORS, ValueError) as error:
            raise sqs_errors.explain(error, url=self.url, endpoint=self._endpoint) from error
        self._endpoint = self._client.meta.endpoint_url

    def peek(self, timeout_s: float) -> bool:
        """See `Queue.peek`."""
        return bool(self._poll(1, timeout_s, visibility_timeout_s=0))

    def receive(self, timeout_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`. An error after the first response only ends it: if it lasts, the next call raises it."""
        found = self._poll(min(most, _BATCH), timeout_s, self.visibility_timeout_s)
        calls = 1
        with ThreadPoolExecutor(_THREADS) as threads:
            while found and (missing := most - len(found)) > 0:
                sizes = [min(_BATCH, missing - start) for start in range(0, missing, _BATCH)][:calls]
                requests = [threads.submit(self._receive, size, 0, self.visibility_timeout_s) for size in sizes]
                more = [message for request in requests if not request.exception() for message in request.result()]
                found += more
                if not more or any(request.exception() for request in requests):
                    break
                calls = min(2 * calls, _THREADS)
        return found

    def extend(self, messages: Sequence[Message]) -> None:
        """See `Queue.extend`. A message that is visible again or acknowledged stays as it is, without an error."""
        self._change("change_message_visibility_batch", messages, {"VisibilityTimeout": int(self.visibility_timeout_s)})

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.ack`."""
        self._change("delete_message_batch", messages, {})

    def _poll(self, most: int, timeout_s: float, visibility_timeout_s: float) -> list[Message]:
        until = time.monotonic() + timeout_s
        while True:
            wait_s = int(until - time.monotonic() + 0.1)  # part of the last second has passed
            found = self._receive(most, max(0, min(wait_s, _LONGEST_POLL_S)), visibility_timeout_s)
            if found or time.monotonic() > until - 1:
                return found

    def _receive(self, most: int, wait_s: int, visibility_timeout_s: float) -> list[Message]:
        response = self._request(
            "receive_message",
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=int(visibility_timeout_s),
            MessageAttributeNames=["All"],
        )
        return [_message(found) for found in response.get("Messages", ())]

    def _change(self, verb: str, messages: Sequence[Message], values: dict[str, Any]) -> None:
        batches = [messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH)]
        with ThreadPoolExecutor(_THREADS) as threads:
            failures = list(threads.map(partial(self._change_batch, verb, values), batches))
        failed = [entry for batch in failures for entry in batch if entry["Code"] not in sqs_errors.EXPIRED]
        if failed:
            reason = f"{failed[0]['Code']}: {failed[0].get('Message', 'no message from SQS')}"
            raise QueueError(f"{verb} of {self.url} failed for {len(failed)} of {len(messages)} messages: {reason}")

    def _change_batch(self, verb: str, values: dict[str, Any], messages: Sequence[Message]) -> list[dict[str, Any]]:
        entries = [{"Id": str(i), "ReceiptHandle": message.receipt} | values for i, message in enumerate(messages)]
        failed: list[dict[str, Any]] = self._request(verb, Entries=entries).get("Failed", [])
        return failed

    def _request(self, verb: str, **parameters: Any) -> dict[str, Any]:
        try:
            if self._sqs_url is None:
                owner = {"QueueOwnerAWSAccountId": account} if (account := self._parts["account"]) else {}
                self._sqs_url = self._client.get_queue_url(QueueName=self._parts["queue"], **owner)["QueueUrl"]
            response: dict[str, Any] = getattr(self._client, verb)(QueueUrl=self._sqs_url, **parameters)
        except aws_client.ERRORS as error:
            raise sqs_errors.explain(error, url=self.url, endpoint=self._endpoint) from error
        return response


def _message(found: dict[str, Any]) -> Message:
    attributes = {name: _text(value) for name, value in found.get("MessageAttributes", {}).items()}
    body = found["Body"].encode("utf-8", "surrogatepass")
    return Message(found["MessageId"], body, attributes, found["ReceiptHandle"])


def _text(value: dict[str, Any]) -> str:
    """Return the value of an attribute; bytes as base64."""
    text = value.get("StringValue")
    return str(text) if text is not None else base64.b64encode(value.get("BinaryValue", b"")).decode()
