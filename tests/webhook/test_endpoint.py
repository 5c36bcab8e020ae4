"""The endpoint over HTTP: which requests it accepts, what it stores, and that 200 means durable."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import duckdb
import httpx
import pytest

from roomledger.runtime import open_inbox
from roomledger.webhook.endpoint import MAX_BODY_BYTES
from sandbox.servers.s3 import S3Server
from tests.webhook.conftest import SECRETS, Endpoint, Serve, settings_text

BODY = b'{"id": "e1", "type": "session.open.success", "data": {"rtmp_urls": ["rtmp://live.example/app/STREAM-KEY"]}}'
TALK = {"X-Talk-Secret": "new-secret-of-talk"}
SIGNED = {"X-Talk-Secret": "secret-of-signed"}


def signature(secret: str, body: bytes = BODY) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


REQUESTS = {
    "right": ("talk", TALK, 200),
    "right, the older secret": ("talk", {"x-talk-secret": "old-secret-of-talk"}, 200),
    "right, not in ASCII": ("acme-eu", {b"X-Talk-Secret": "geheim-ä".encode()}, 200),
    "no secret": ("talk", {}, 401),
    "an empty secret": ("talk", {"X-Talk-Secret": ""}, 401),
    "both secrets": ("talk", {"X-Talk-Secret": "old-secret-of-talk  new-secret-of-talk"}, 401),
    "another source's secret": ("talk", SIGNED, 401),
    "bytes": ("talk", {b"X-Talk-Secret": b"\xff\xfe\x80"}, 401),
    "in another header": ("talk", {"X-Secret": "new-secret-of-talk"}, 401),
    "a signature that is not required": ("talk", TALK | {"x-100ms-signature": "0"}, 200),
    "signed": ("signed", SIGNED | {"x-100ms-signature": signature("signing-new")}, 200),
    "signed with the older one": ("signed", SIGNED | {"X-100ms-Signature": signature("signing-old")}, 200),
    "signed with prefix": ("signed", SIGNED | {"x-100ms-signature": f"sha256={signature('signing-new')}"}, 200),
    "no signature": ("signed", SIGNED, 401),
    "a wrong signature": ("signed", SIGNED | {"x-100ms-signature": signature("secret-of-signed")}, 401),
    "a signature of other bytes": ("signed", SIGNED | {"x-100ms-signature": signature("signing-new", b"{}")}, 401),
    "a signature of bytes": ("signed", {b"X-Talk-Secret": b"secret-of-signed", b"x-100ms-signature": b"\xff"}, 401),
    "signed, without the secret": ("signed", {"x-100ms-signature": signature("signing-new")}, 401),
    "unknown source": ("nobody", TALK, 404),
    "no source": ("", TALK, 404),
    "a source without webhooks": ("quiet", {"X-Talk-Secret": "secret-of-quiet"}, 404),
    "a path": ("talk/more", TALK, 404),
    "a hidden path": ("..%2f..%2ftalk", TALK, 404),
    "no secret is set": ("unset", {"X-Secret": ""}, 503),
}


@pytest.mark.parametrize(("source", "headers", "status"), REQUESTS.values(), ids=REQUESTS)
def test_only_authenticated_requests_are_accepted(
    endpoint: Endpoint, source: str, headers: dict[str, str], status: int
) -> None:
    answer = endpoint.request("POST", f"/webhooks/{source}", content=BODY, headers=headers)
    assert answer.status_code == status, answer.text
    assert [event.attributes["source"] for event in endpoint.events()] == [source] * (status == 200)


def test_no_log_line_and_no_answer_holds_a_secret(endpoint: Endpoint) -> None:
    output = ""
    for source, headers, _ in REQUESTS.values():
        answer = endpoint.request("POST", f"/webhooks/{source}", content=BODY, headers=headers)
        output += answer.text + str(answer.headers)
    output += endpoint.log()
    secrets = [secret for value in SECRETS.values() for secret in value.split()]
    assert [secret for secret in [*secrets, "STREAM-KEY", signature("signing-new")] if secret in output] == []
    for reason in (
        "refused a webhook for talk: the header X-Talk-Secret is missing or wrong",
        "refused a webhook for signed: the header x-100ms-signature is missing or wrong",
        "refused a webhook for 'nobody': no source of that name accepts webhooks",
        "cannot accept webhooks for unset: set ROOMLEDGER_WEBHOOK_SECRETS_UNSET in the environment",
    ):
        assert reason in output
    assert "Traceback" not in output


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_post_is_allowed(endpoint: Endpoint, method: str) -> None:
    assert endpoint.request(method, "/webhooks/talk", headers=TALK).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc", "/openapi.json", "/webhooks", "/webhooks/talk/"])
def test_other_paths_do_not_exist(endpoint: Endpoint, path: str) -> None:
    assert endpoint.request("GET", path).status_code == 404


def test_an_event_is_stored_without_its_secrets_and_with_the_time_it_was_received(endpoint: Endpoint) -> None:
    before = datetime.now(UTC)
    assert endpoint.post(BODY).status_code == 200
    [event] = endpoint.events()
    assert json.loads(event.body) == json.loads(BODY) | {"data": {"rtmp_urls": ["[redacted]"]}}
    assert before <= datetime.fromisoformat(event.attributes["received_at"]) <= before + timedelta(seconds=10)


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b'{"id": ', b"\x00\xff"])
def test_a_body_that_is_not_an_event_is_stored_too(endpoint: Endpoint, body: bytes) -> None:
    assert endpoint.post(body).status_code == 200
    assert [event.body for event in endpoint.events()] == [body]


def test_a_signature_is_checked_against_the_raw_bytes(endpoint: Endpoint) -> None:
    body = b' {"b":1,\n"a" : "\xc3\xa9"}\n'
    made = signature("signing-new", body)
    assert endpoint.post(body, "signed", X_Talk_Secret="secret-of-signed", x_100ms_signature=made).status_code == 200


def pieces(size: int) -> Iterator[bytes]:
    yield from [b"x" * 1000] * (size // 1000)
    yield b"x" * (size % 1000)


@pytest.mark.parametrize("chunked", [False, True])
def test_the_largest_allowed_body_is_accepted(endpoint: Endpoint, chunked: bool) -> None:
    content: bytes | Iterable[bytes] = pieces(MAX_BODY_BYTES) if chunked else b"x" * MAX_BODY_BYTES
    answer = endpoint.request("POST", "/webhooks/talk", content=content, headers=TALK)
    assert answer.status_code == 200
    assert [len(event.body) for event in endpoint.events()] == [MAX_BODY_BYTES]


def answer_to_partial_body(endpoint: Endpoint, headers: str, body: bytes) -> bytes:
    """Send the start of a longer body; return the answer after which the server disconnects."""
    url = httpx.URL(endpoint.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(f"POST /webhooks/talk HTTP/1.1\r\nHost: here\r\n{headers}\r\n\r\n".encode() + body)
        answer = connection.recv(1000)
        while connection.recv(1000):  # until the server disconnects
            pass
        return answer.lower()


def test_a_body_whose_content_length_is_too_large_is_not_read(endpoint: Endpoint) -> None:
    headers = f"X-Talk-Secret: new-secret-of-talk\r\nContent-Length: {MAX_BODY_BYTES + 1}"
    answer = answer_to_partial_body(endpoint, headers, b"")
    assert answer.startswith(b"http/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert endpoint.events() == []


def test_an_endless_body_is_read_only_up_to_the_limit(endpoint: Endpoint) -> None:
    headers = "X-Talk-Secret: new-secret-of-talk\r\nTransfer-Encoding: chunked"
    chunk = b"1000\r\n" + b"x" * 0x1000 + b"\r\n"
    answer = answer_to_partial_body(endpoint, headers, chunk * (MAX_BODY_BYTES // 0x1000 + 1))
    assert answer.startswith(b"http/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert endpoint.events() == []
    assert "refused a webhook for talk: the body has more than 1048576 bytes" in endpoint.log()


def test_an_unauthenticated_request_is_answered_before_its_body_is_read(endpoint: Endpoint) -> None:
    url = httpx.URL(endpoint.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(b"POST /webhooks/talk HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n")
        assert connection.recv(1000).split()[1] == b"401"


def test_a_sender_that_disconnects_leaves_nothing_in_the_inbox(endpoint: Endpoint) -> None:
    url = httpx.URL(endpoint.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        head = b"POST /webhooks/talk HTTP/1.1\r\nHost: here\r\nX-Talk-Secret: new-secret-of-talk\r\n"
        connection.sendall(head + b'Content-Length: 1000\r\n\r\n{"id": "half')
    deadline = time.monotonic() + 10
    while "disconnected before the end of the body" not in endpoint.log():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert endpoint.events() == []


def test_one_connection_serves_many_requests(endpoint: Endpoint) -> None:
    with httpx.Client(base_url=endpoint.url, timeout=30) as client:
        statuses = [
            client.post("/webhooks/talk", content=BODY, headers=headers).status_code
            for headers in (TALK, {}, TALK, {"X-Talk-Secret": "x"}, TALK)
        ]
    assert statuses == [200, 401, 200, 401, 200]
    assert len(endpoint.events()) == 3


def test_an_event_survives_a_killed_server(serve: Serve) -> None:
    endpoint = serve()
    for number in range(20):
        assert endpoint.post(b"%d" % number).status_code == 200
    os.killpg(endpoint.pid, signal.SIGKILL)
    assert [event.body for event in endpoint.events()] == [b"%d" % number for number in range(20)]


def test_two_servers_share_one_inbox(serve: Serve) -> None:
    servers = [serve(), serve()]
    with ThreadPoolExecutor(8) as threads:
        statuses = threads.map(lambda number: servers[number % 2].post(b"%d" % number).status_code, range(200))
        assert set(statuses) == {200}
    assert sorted(int(event.body) for event in servers[0].events()) == list(range(200))


def test_the_warehouse_is_not_needed(serve: Serve, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")):  # no other process may open it
        endpoint = serve(text=settings_text(f"file://{tmp_path}/inbox", f"duckdb:///{tmp_path}/warehouse.duckdb"))
        assert endpoint.post().status_code == 200
    endpoint.write_settings(
        settings_text(f"file://{tmp_path}/inbox", "postgresql+psycopg://nobody@127.0.0.1:1/nowhere")
    )
    assert endpoint.post().status_code == 200


def test_an_unwritable_inbox_gives_503_until_it_can_be_written(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "inbox").write_text("in the way")
    endpoint = serve()
    assert endpoint.post().status_code == 503
    assert f"the vendor will send it again: cannot write an event to the inbox {tmp_path}/inbox" in endpoint.log()
    (tmp_path / "inbox").unlink()
    assert endpoint.post().status_code == 200
    assert len(endpoint.events()) == 1


def test_changed_settings_are_read_again(serve: Serve, tmp_path: Path) -> None:
    inbox = f"file://{tmp_path}/inbox"
    endpoint = serve()
    assert endpoint.post().status_code == 200

    endpoint.write_settings(settings_text(inbox) + "[warehouse\n")
    assert [endpoint.post().status_code for _ in range(2)] == [503, 503]
    assert "cannot accept a webhook for 'talk' until the settings are fixed: " in endpoint.log()
    (endpoint.folder / "roomledger.toml").unlink()
    assert endpoint.post().status_code == 503
    assert "there is no settings file at" in endpoint.log()

    endpoint.write_settings(settings_text(f"{inbox}-2", talk="X-Other-Header"))
    assert endpoint.post().status_code == 401
    assert endpoint.post(b"changed", X_Other_Header="new-secret-of-talk").status_code == 200
    assert [event.body for event in open_inbox(f"{inbox}-2").receive(0)] == [b"changed"]
    assert "Traceback" not in endpoint.log()


def test_a_secret_is_rotated_without_rejected_webhooks(serve: Serve) -> None:
    def statuses(value: str) -> list[int]:
        endpoint = serve(ROOMLEDGER_WEBHOOK_SECRETS_TALK=value)
        return [endpoint.post(X_Talk_Secret=secret).status_code for secret in ("first", "second")]

    assert [statuses(value) for value in ("first", "first second", "second")] == [[200, 401], [200, 200], [401, 200]]


def test_events_are_stored_in_an_inbox_in_a_bucket(serve: Serve, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    access = {
        "AWS_ENDPOINT_URL_S3": s3.endpoint,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": s3.region,
    }
    for name, value in access.items():
        monkeypatch.setenv(name, value)
    endpoint = serve("s3://webhooks/inbox", **access)
    assert endpoint.post().status_code == 503
    assert "the vendor will send it again: could not write an event to the inbox s3://webhooks/inbox" in endpoint.log()
    boto3.Session().client("s3").create_bucket(Bucket="webhooks")
    assert endpoint.post(BODY).status_code == 200
    assert [json.loads(event.body)["id"] for event in endpoint.events()] == ["e1"]


def test_missing_cloud_credentials_give_503(serve: Serve) -> None:
    endpoint = serve("s3://webhooks/inbox")
    assert endpoint.post().status_code == 503
    assert "no AWS credentials for s3://webhooks/inbox" in endpoint.log()
