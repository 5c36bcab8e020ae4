"""What only SQS has: responses to batches, its limits, and its errors."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import boto3
import pytest

from roomledger import queues
from roomledger.runtime import StandardConnections, open_bucket_queue
from roomledger.settings import QueueSettings
from roomledger.stores import Access, CredentialsMissing, transfer
from sandbox.servers.s3 import S3Server
from tests.queues.conftest import aws, session, sqs_queue

NO_SERVER = "http://127.0.0.1:1"
KEYS = boto3.Session("key", "secret", region_name="eu-central-1")

Answers = Callable[[str, dict[str, Any]], tuple[int, dict[str, Any]]]


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are reported at once."""
    monkeypatch.setattr(transfer, "RETRIES", 0)


@contextmanager
def answering(answers: Answers) -> Iterator[queues.Queue]:
    """A queue at a server that speaks SQS's protocol and sends these responses."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 1

        def do_POST(self) -> None:
            verb = self.headers["X-Amz-Target"].partition(".")[2]
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            url = {"QueueUrl": f"http://{self.headers['Host']}/000000000000/events"}
            status, response = (200, url) if verb == "GetQueueUrl" else answers(verb, request)
            body = json.dumps(response).encode()
            with suppress(BrokenPipeError):  # the client may have timed out
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.server_port}"
            yield open_bucket_queue(
                QueueSettings(name="q", url="sqs://events", endpoint=endpoint), Access(session=KEYS)
            )
        finally:
            server.shutdown()
            thread.join()


def sent(number: int) -> dict[str, Any]:
    return {"MessageId": f"m-{number}", "ReceiptHandle": f"r-{number}", "Body": "{}"}


def error(code: str, message: str = "because") -> tuple[int, dict[str, Any]]:
    return 400, {"__type": f"com.amazonaws.sqs#{code}", "message": message}


MESSAGES = [queues.Message(f"m-{number}", b"", {}, f"r-{number}") for number in range(25)]

ERRORS = {
    "QueueDoesNotExist": r"has no queue sqs://events.*check the queue's url and region.*sqs://account/queue",
    "AccessDenied": r"no permission for sqs://events: .*sqs:ReceiveMessage.*sqs:DeleteMessage on it \(.*because",
    "AccessDeniedException": r"no permission for sqs://events",
    "InvalidClientTokenId": r"does not accept the credentials for sqs://events: InvalidClientTokenId",
    "ExpiredToken": r"does not accept the credentials for sqs://events: ExpiredToken",
    "KmsAccessDenied": r"sqs://events is encrypted, and the credentials need kms:Decrypt on its key \(.*because",
    "OverLimit": r"could not serve sqs://events: .*OverLimit.*because",
}


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("code", ERRORS)
def test_an_error_is_explained_with_the_way_out(code: str) -> None:
    with answering(lambda *_: error(code)) as queue:
        for attempt in (
            lambda: queue.peek(0),
            lambda: queue.receive(0),
            lambda: queue.extend(MESSAGES),
            lambda: queue.ack(MESSAGES),
        ):
            with pytest.raises(queues.QueueError, match=ERRORS[code]):
                attempt()


@pytest.mark.usefixtures("no_retries")
def test_an_unreachable_server_is_named() -> None:
    settings = QueueSettings(name="q", url="sqs://events", endpoint=NO_SERVER)
    queue = open_bucket_queue(settings, Access(session=KEYS))
    with pytest.raises(queues.QueueError, match=rf"no valid response from {NO_SERVER} for sqs://events: check"):
        queue.receive(0)


def test_missing_credentials_are_named_with_the_way_out() -> None:
    settings = QueueSettings(name="q", url="sqs://events", region="eu-central-1")
    with pytest.raises(
        CredentialsMissing, match=r"no AWS credentials for sqs://events: .*AWS_ACCESS_KEY_ID.*connection"
    ):
        open_bucket_queue(settings, StandardConnections().queue(settings))


def test_a_missing_region_is_named() -> None:
    settings = QueueSettings(name="q", url="sqs://events")
    with pytest.raises(queues.QueueError, match=r"the region of sqs://events is unknown: set the queue's region"):
        open_bucket_queue(settings, Access(session=boto3.Session("key", "secret")))


def test_the_settings_override_the_connection(s3: S3Server) -> None:
    cloud_queue = sqs_queue(s3)
    elsewhere = replace(cloud_queue.access, endpoint=NO_SERVER, region="eu-central-1")
    queue = open_bucket_queue(replace(cloud_queue.settings, region=s3.region), elsewhere)
    assert queue.receive(0) == []
    settings = replace(cloud_queue.settings, endpoint=None)
    connected = open_bucket_queue(settings, replace(cloud_queue.access, endpoint=s3.endpoint))
    assert connected.receive(0) == []


def test_a_queue_may_be_in_another_account(s3: S3Server) -> None:
    cloud_queue = sqs_queue(s3)
    cloud_queue.send([b"message"], {})
    name = cloud_queue.settings.url.removeprefix("sqs://")
    ours = replace(cloud_queue, settings=replace(cloud_queue.settings, url=f"sqs://000000000000/{name}"))
    assert ours.open().peek(0)
    theirs = replace(cloud_queue, settings=replace(cloud_queue.settings, url=f"sqs://111111111111/{name}"))
    with pytest.raises(queues.QueueError, match=rf"has no queue sqs://111111111111/{name}"):
        theirs.open().peek(0)


def test_a_fifo_queue_is_supported(s3: S3Server) -> None:
    client, name = aws(s3, "sqs"), "events.fifo"
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    for number in range(3):
        client.send_message(QueueUrl=url, MessageBody=str(number), MessageGroupId="g")
    settings = QueueSettings(name="q", url=f"sqs://{name}", endpoint=s3.endpoint)
    queue = open_bucket_queue(settings, Access(session=session(s3)))
    assert queue.peek(0)
    found = queue.receive(0)
    assert [message.body for message in found] == [b"0", b"1", b"2"]
    queue.ack(found)


def test_attributes_are_text() -> None:
    attributes = {
        "text": {"DataType": "String", "StringValue": "Zoë"},
        "number": {"DataType": "Number", "StringValue": "42"},
        "bytes": {"DataType": "Binary", "BinaryValue": "AP8="},
    }
    with answering(lambda *_: (200, {"Messages": [sent(1) | {"MessageAttributes": attributes}]})) as queue:
        [message] = queue.receive(0, most=1)
    assert message.attributes == {"text": "Zoë", "number": "42", "bytes": "AP8="}


def test_a_long_wait_is_split_into_polls_that_sqs_allows() -> None:
    polls: list[dict[str, Any]] = []

    def answers(_: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        polls.append(request)
        return 200, {"Messages": [sent(1)]} if len(polls) == 3 else {}

    with answering(answers) as queue:
        assert queue.peek(60)
        assert [(poll["WaitTimeSeconds"], poll["VisibilityTimeout"]) for poll in polls] == [(20, 0)] * 3
        polls.clear()
        assert not queue.peek(0)
        assert not queue.peek(0.5)
        assert [poll["WaitTimeSeconds"] for poll in polls] == [0, 0]


def test_a_call_requests_no_more_messages_than_needed() -> None:
    sizes: list[int] = []

    def answers(_: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        sizes.append(request["MaxNumberOfMessages"])
        assert request["VisibilityTimeout"] == 120
        return 200, {"Messages": [sent(number) for number in range(request["MaxNumberOfMessages"])]}

    with answering(answers) as queue:
        assert len(queue.receive(0, 37)) == 37
        assert sorted(sizes) == [7, 10, 10, 10]
        sizes.clear()
        assert len(queue.receive(0, 3)) == 3
        assert sizes == [3]


@pytest.mark.usefixtures("no_retries")
def test_messages_received_before_an_error_are_not_lost() -> None:
    calls: list[int] = []

    def answers(*_: object) -> tuple[int, dict[str, Any]]:
        calls.append(1)
        return error("OverLimit") if len(calls) in (3, 5) else (200, {"Messages": [sent(len(calls))]})

    with answering(answers) as queue:
        assert [message.message_id for message in queue.receive(0)] == ["m-1", "m-2", "m-4"]
        with pytest.raises(queues.QueueError, match="OverLimit"):
            queue.receive(0)


@pytest.mark.parametrize(
    ("verb", "action"), [("ack", "DeleteMessageBatch"), ("extend", "ChangeMessageVisibilityBatch")]
)
def test_a_batch_that_failed_in_part_is_an_error_unless_its_messages_have_expired(verb: str, action: str) -> None:
    batches: list[int] = []
    code = "ReceiptHandleIsInvalid"

    def answers(requested: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        assert requested == action
        batches.append(len(request["Entries"]))
        failed = {"Id": request["Entries"][0]["Id"], "Code": code, "Message": "because", "SenderFault": False}
        return 200, {"Successful": [], "Failed": [failed]}

    with answering(answers) as queue:
        getattr(queue, verb)(MESSAGES)
        assert sorted(batches) == [5, 10, 10]
        code = "InternalError"
        with pytest.raises(
            queues.QueueError, match=r"sqs://events failed for 3 of 25 messages: InternalError: because"
        ):
            getattr(queue, verb)(MESSAGES)


def test_a_transient_error_is_not_reported() -> None:
    answers = iter([(500, {}), (503, {}), (200, {"Messages": [sent(1)]})])
    with answering(lambda *_: next(answers)) as queue:
        assert queue.peek(0)


def test_a_silent_server_is_not_an_empty_queue(monkeypatch: pytest.MonkeyPatch, no_retries: None) -> None:
    monkeypatch.setattr(transfer, "READ_TIMEOUT", timedelta(seconds=0.3))

    def answers(*_: object) -> tuple[int, dict[str, Any]]:
        time.sleep(1)
        return 200, {}

    with answering(answers) as queue, pytest.raises(queues.QueueError, match="no valid response"):
        queue.receive(0)
