"""Redaction of bodies: JSON loses its secrets only, other bodies are unchanged except for secrets in text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.hundredms.redact import redact, redact_body

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiaG9zdCJ9.c2lnbmF0dXJl"
EVENT = {
    "version": "2.0",
    "id": "0c9be2f4-5a8e-4a51-9b0e-6c0f3f1f9a77",
    "type": "beam.recording.success",
    "data": {
        "room_name": "Ťažký piatok 👋",
        "meeting_url": f"https://acme.example/preview/abc?token={JWT}",
        "rtmp": [{"url": "rtmp://live.example/app/STREAM-KEY-1"}],
        "recording_path": "s3://acme-recordings/live/beam/room/20260302/Rec-room-1772445600000.mp4",
        "recording_presigned_url": "https://acme.example/Rec.mp4?X-Amz-Signature=SIGNED-1",
        "size": 26361961,
        "duration": 12.5,
        "nothing": None,
    },
}


def test_an_event_loses_only_its_secrets() -> None:
    redacted = redact_body(json.dumps(EVENT, ensure_ascii=False).encode())
    assert json.loads(redacted) == redact(EVENT)
    assert json.loads(redacted)["data"]["recording_path"] == EVENT["data"]["recording_path"]  # type: ignore[index]  # a dict
    for secret in (JWT, "STREAM-KEY-1", "SIGNED-1"):
        assert secret.encode() not in redacted


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b'{"id": "e1"',
        b"\xff\xfe\x00 bytes",
        b"[" * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b"a=1&b=2",
    ],
    ids=["nothing", "text", "broken off", "bytes", "deep", "long number", "form"],
)
def test_a_body_that_is_not_json_is_unchanged(body: bytes) -> None:
    assert redact_body(body) == body


def test_a_body_that_is_not_json_loses_secrets_in_its_text() -> None:
    redacted = redact_body(f'{{"meeting": "https://acme.example/?token={JWT}", '.encode() + b"\xff")
    assert JWT.encode() not in redacted
    assert redacted.startswith(b'{"meeting": "https://acme.example/')
    assert redacted.endswith(b"\xff")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[1, 2]", [1, 2]),
        (b'"text"', "text"),
        (b"null", None),
        (b'{"lone": "\\ud800"}', {"lone": "\ud800"}),
        ('{"name": "ž"}'.encode("utf-8-sig"), {"name": "ž"}),
        ('{"name": "ž"}'.encode("utf-16"), {"name": "ž"}),
    ],
)
def test_any_json_is_preserved(body: bytes, value: Any) -> None:
    assert json.loads(redact_body(body)) == value


@given(st.binary(max_size=200))
def test_any_bytes_can_be_redacted(body: bytes) -> None:
    assert isinstance(redact_body(body), bytes)
