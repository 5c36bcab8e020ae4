"""Amazon SQS as a queue, where S3 puts down word of new objects, directly or through SNS or EventBridge.

`waits` receives a message without keeping it from others, which SQS counts as a receipt all the same: a dead-letter
policy of the queue with a small `maxReceiveCount` would take away what merely had to wait. The queue needs no such
policy, since what cannot be understood is settled, too; at most 1000, the largest that SQS knows, does no harm.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types

from roomledger.queues import MOST_MESSAGES, Message, QueueError, sqs_errors
from roomledger.settings import QueueSettings
from roomledger.stores import Access, transfer

_BATCH = 10
"""Messages in one call, and …"""
_LONGEST_POLL_S = 20
"""… whole seconds that a call may wait (vendor documentation)."""
_CALLS_AT_ONCE = 8


class Sqs:
    """One queue; its address at SQS is asked for with the first verb."""

    visibility_timeout_s = 120.0

    def __init__(self, settings: QueueSettings, access: Access) -> None:
        self.name, self.url = settings.name, settings.url
        self._sqs_url: str | None = None
        self._parts = settings.parts
        self._endpoint = settings.endpoint or access.endpoint
        session = access.session or boto3.Session()
        config = Config(
            connect_timeout=transfer.CONNECT_TIMEOUT.total_seconds(),
            read_timeout=transfer.READ_TIMEOUT.total_seconds(),
            retries={"mode": "standard", "total_max_attempts": transfer.RETRIES + 1},
        )
        try:
            if session.get_credentials() is None:
                raise sqs_errors.no_credentials(self.url)
            self._client = session.client(
                "sqs", region_name=settings.region or access.region, endpoint_url=self._endpoint, config=config
            )
        except (*sqs_errors.ERRORS, ValueError) as error:
            raise sqs_errors.explain(error, url=self.url, endpoint=self._endpoint) from error
        self._endpoint = self._client.meta.endpoint_url

    def peek(self, patience_s: float) -> bool:
        """See `Queue.waits`."""
        return bool(self._poll(1, patience_s, visibility_timeout_s=0))

    def receive(self, patience_s: float, most: int = MOST_MESSAGES) -> list[Message]:
        """See `Queue.receive`. An error after the first answer only ends it: if it lasts, the next call tells it."""
        found = self._poll(min(most, _BATCH), patience_s, self.visibility_timeout_s)
        calls = 1
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
            while found and (missing := most - len(found)) > 0:
                sizes = [min(_BATCH, missing - start) for start in range(0, missing, _BATCH)][:calls]
                asked = [threads.submit(self._take, size, 0, self.visibility_timeout_s) for size in sizes]
                more = [message for answer in asked if not answer.exception() for message in answer.result()]
                found += more
                if not more or any(answer.exception() for answer in asked):
                    break
                calls = min(2 * calls, _CALLS_AT_ONCE)
        return found

    def extend(self, messages: Sequence[Message]) -> None:
        """See `Queue.hold`. What is back in the queue, or settled, cannot be held, which is no error."""
        self._change("change_message_visibility_batch", messages, {"VisibilityTimeout": int(self.visibility_timeout_s)})

    def ack(self, messages: Sequence[Message]) -> None:
        """See `Queue.settle`."""
        self._change("delete_message_batch", messages, {})

    def _poll(self, most: int, patience_s: float, visibility_timeout_s: float) -> list[Message]:
        until = time.monotonic() + patience_s
        while True:
            wait_s = int(until - time.monotonic() + 0.1)  # some of a second is over by now
            found = self._take(most, max(0, min(wait_s, _LONGEST_POLL_S)), visibility_timeout_s)
            if found or time.monotonic() > until - 1:
                return found

    def _take(self, most: int, wait_s: int, visibility_timeout_s: float) -> list[Message]:
        answer = self._ask(
            "receive_message",
            MaxNumberOfMessages=most,
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=int(visibility_timeout_s),
            MessageAttributeNames=["All"],
        )
        return [_message(told) for told in answer.get("Messages", ())]

    def _change(self, verb: str, messages: Sequence[Message], values: dict[str, Any]) -> None:
        batches = [messages[start : start + _BATCH] for start in range(0, len(messages), _BATCH)]
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
            answers = list(threads.map(partial(self._change_batch, verb, values), batches))
        failed = [entry for answer in answers for entry in answer if entry["Code"] not in sqs_errors.GONE]
        if failed:
            reason = f"{failed[0]['Code']}: {failed[0].get('Message', 'SQS says no more')}"
            raise QueueError(f"{verb} of {self.url} failed for {len(failed)} of {len(messages)} messages: {reason}")

    def _change_batch(self, verb: str, values: dict[str, Any], messages: Sequence[Message]) -> list[dict[str, Any]]:
        entries = [{"Id": str(i), "ReceiptHandle": message.receipt} | values for i, message in enumerate(messages)]
        failed: list[dict[str, Any]] = self._ask(verb, Entries=entries).get("Failed", [])
        return failed

    def _ask(self, verb: str, **what: Any) -> dict[str, Any]:
        try:
            if self._sqs_url is None:
                owner = {"QueueOwnerAWSAccountId": account} if (account := self._parts["account"]) else {}
                self._sqs_url = self._client.get_queue_url(QueueName=self._parts["queue"], **owner)["QueueUrl"]
            answer: dict[str, Any] = getattr(self._client, verb)(QueueUrl=self._sqs_url, **what)
        except sqs_errors.ERRORS as error:
            raise sqs_errors.explain(error, url=self.url, endpoint=self._endpoint) from error
        return answer


def _message(told: dict[str, Any]) -> Message:
    attributes = {name: _text(value) for name, value in told.get("MessageAttributes", {}).items()}
    return Message(told["MessageId"], told["Body"].encode("utf-8", "surrogatepass"), attributes, told["ReceiptHandle"])


def _text(value: dict[str, Any]) -> str:
    """Give the value of an attribute; bytes as base64."""
    text = value.get("StringValue")
    return str(text) if text is not None else base64.b64encode(value.get("BinaryValue", b"")).decode()
