"""What only Pub/Sub has: exactly-once delivery, its limits, and its errors."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import google.auth.credentials
import pytest
from google.api_core import exceptions
from google.api_core.exceptions import GoogleAPIError
from google.auth.exceptions import RefreshError

from roomledger.queues import Message, QueueError, pubsub, pubsub_errors
from roomledger.runtime import StandardConnections, open_bucket_queue
from roomledger.settings import QueueSettings
from roomledger.stores import Access, CredentialsMissing, transfer
from sandbox.servers.pubsub import broker
from sandbox.servers.pubsub.server import PubSubServer
from tests.queues.conftest import pubsub_queue

SETTINGS = QueueSettings(name="q", url="pubsub://acme/objects")


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors are reported at once."""
    monkeypatch.setattr(transfer, "RETRY_TIME", timedelta(seconds=0.1))
    monkeypatch.setattr(pubsub, "_MIN_TIMEOUT_S", 0.5)


def test_bytes_are_received_as_they_were_sent(pubsub: PubSubServer) -> None:
    cloud_queue = pubsub_queue(pubsub)
    cloud_queue.send([bytes(range(256))], {})
    assert [message.body for message in cloud_queue.open().receive(5)] == [bytes(range(256))]


def test_a_received_message_is_hidden_longer_than_the_subscriptions_deadline(pubsub: PubSubServer) -> None:
    cloud_queue = pubsub_queue(pubsub, ack_deadline_seconds=1)
    cloud_queue.send([b"message"], {})
    queue = cloud_queue.open()
    assert len(queue.receive(5)) == 1
    assert not queue.peek(2)


def test_an_early_empty_response_does_not_end_the_wait(pubsub: PubSubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "LONGEST_PULL_S", 0.1)
    cloud_queue = pubsub_queue(pubsub)
    sender = threading.Timer(1, cloud_queue.send, ([b"message"], {}))
    sender.start()
    assert cloud_queue.open().peek(15)
    sender.join()


def test_expired_deliveries_are_not_an_error_with_exactly_once_delivery(pubsub: PubSubServer) -> None:
    cloud_queue = pubsub_queue(pubsub, enable_exactly_once_delivery=True)
    cloud_queue.send([b"1", b"2", b"3"], {})
    queue = cloud_queue.open()
    queue.visibility_timeout_s = 1
    first, *rest = queue.receive(5)
    queue.ack([first])
    queue.visibility_timeout_s = 60
    queue.extend([first, *rest])
    queue.ack([first, *rest])
    queue.ack([first, *rest])
    assert queue.receive(0) == []


def test_a_request_is_no_larger_than_pubsub_accepts(pubsub: PubSubServer) -> None:
    cloud_queue = pubsub_queue(pubsub)
    cloud_queue.send([b"last"], {})
    queue = cloud_queue.open()
    [last] = queue.receive(5)
    expired = [Message("m", b"", {}, f"{number:0900}") for number in range(broker.LARGEST_REQUEST // 900 * 2)]
    queue.extend([*expired, last])
    queue.ack([*expired, last])


ERRORS: list[tuple[Exception, str]] = [
    (exceptions.NotFound("missing"), r"has no subscription pubsub://acme/objects: create it"),
    (exceptions.PermissionDenied("no"), r"no permission for pubsub://acme/objects: .*roles/pubsub\.subscriber"),
    (exceptions.Unauthenticated("who"), r"does not accept the credentials for pubsub://acme/objects.*who"),
    (RefreshError("old"), r"does not accept the credentials for pubsub://acme/objects.*old"),
    (
        exceptions.ServiceUnavailable("down"),
        r"no valid response from host for pubsub://acme/objects: check the network",
    ),
    (exceptions.RetryError("late", exceptions.ServiceUnavailable("down")), r"no valid response from host.*down"),
    (exceptions.FailedPrecondition("push"), r"host could not serve pubsub://acme/objects: .*push"),
    (GoogleAPIError("odd"), r"host could not serve pubsub://acme/objects: odd"),
]


@pytest.mark.parametrize(("error", "message"), ERRORS, ids=lambda value: type(value).__name__)
def test_an_error_is_explained_with_the_way_out(error: Exception, message: str) -> None:
    with pytest.raises(QueueError, match=message):
        raise pubsub_errors.explain(error, url=SETTINGS.url, endpoint="host")
    assert not pubsub_errors.is_expired(error)


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.usefixtures("no_retries")
@pytest.mark.parametrize("verb", ["peek", "receive"])
def test_a_server_that_cannot_be_reached_is_not_an_empty_queue(verb: str, silent: str) -> None:
    for endpoint in ("http://127.0.0.1:1", silent):
        queue = open_bucket_queue(replace(SETTINGS, endpoint=endpoint), Access())
        with pytest.raises(QueueError, match=rf"no valid response from {endpoint[7:]} for {SETTINGS.url}: check"):
            getattr(queue, verb)(0.5)


class Tokens(google.auth.credentials.Credentials):
    """Credentials that cannot be refreshed."""

    def refresh(self, request: object) -> None:
        raise RefreshError("the key was deleted")


@pytest.mark.usefixtures("no_retries")
def test_credentials_are_not_sent_without_encryption_nor_to_an_emulator(pubsub: PubSubServer) -> None:
    cloud_queue = pubsub_queue(pubsub)
    assert replace(cloud_queue, access=Access(credentials=Tokens())).open().receive(0) == []
    queue = open_bucket_queue(replace(SETTINGS, endpoint="https://127.0.0.1:1"), Access(credentials=Tokens()))
    with pytest.raises(QueueError, match=r"127\.0\.0\.1:1 .*pubsub://acme/objects"):
        queue.receive(0)


def test_missing_credentials_are_named_with_the_way_out() -> None:
    message = r"no Google credentials for pubsub://acme/objects: .*gcloud auth.*connection"
    with pytest.raises(CredentialsMissing, match=message):
        open_bucket_queue(SETTINGS, Access())
    with pytest.raises(CredentialsMissing, match=message):
        StandardConnections().queue(SETTINGS)


def test_an_emulator_needs_no_credentials(pubsub: PubSubServer) -> None:
    settings = pubsub_queue(pubsub).settings
    assert open_bucket_queue(settings, StandardConnections().queue(settings)).receive(0) == []


def test_a_missing_library_is_named_with_the_way_to_install_it() -> None:
    program = (
        "import sys; sys.modules['google.pubsub_v1'] = None\n"
        "from roomledger import queues, runtime, settings, stores\n"
        "sqs = settings.QueueSettings(name='q', url='sqs://q', region='eu-central-1')\n"
        "try: runtime.open_bucket_queue(settings.QueueSettings(name='q', url='pubsub://p/sub'), stores.Access())\n"
        "except queues.QueueError as error: print(error)\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "pip install 'roomledger[pubsub]'" in printed
