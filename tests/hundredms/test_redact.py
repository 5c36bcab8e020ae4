"""Redaction removes every secret at every path, and changes nothing else."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomledger.hundredms.redact import redact, redact_text

CUT = "[redacted]"
JWT = "eyJhbGciOiJIUzI1NiJ9.e30.x"
LONG_JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiaG9zdCJ9.4f_k-zQ0v1o"
WEB = "https://files.example.com/chat/Rec-1.csv"
SIGNED = f"{WEB}?X-Amz-Expires=60&X-Amz-Signature=c0ffee"

BY_KEY = [
    ({"rtmp": "live/secret-key"}, {"rtmp": CUT}),
    ({"rtmp_urls": ["rtmp://a/x", "rtmps://b/y"]}, {"rtmp_urls": [CUT, CUT]}),
    ({"rtmp": {"to": "a.example.com", "key": ["k", 7, None]}}, {"rtmp": {"to": CUT, "key": [CUT, CUT, None]}}),
    ({"stream_key": "k", "streamKey": "k"}, {"stream_key": CUT, "streamKey": CUT}),
    ({"Stream-Keys": ["k"]}, {"Stream-Keys": [CUT]}),
    ({"recording_presigned_url": WEB, "presignedUrl": WEB}, {"recording_presigned_url": CUT, "presignedUrl": CUT}),
    ({"url": WEB, "URL": WEB, "playback": {"url": WEB}}, {"url": CUT, "URL": CUT, "playback": {"url": CUT}}),
    ({"playback.url": WEB}, {"playback.url": CUT}),
    ({"url": None, "URL": "", "rtmp": False}, {"url": None, "URL": "", "rtmp": False}),
    ({"token": "t", "auth_token": "t"}, {"token": CUT, "auth_token": CUT}),
    ({"Authorization": "t"}, {"Authorization": CUT}),
    ({"location": WEB}, {"location": CUT}),
    ({"location": "acme-recordings"}, {"location": "acme-recordings"}),
    ({"location": "s3://acme/chat.csv"}, {"location": "s3://acme/chat.csv"}),
    ({"thumbnails": [{"location": WEB}]}, {"thumbnails": [{"location": CUT}]}),
    ({"url": "gs://acme/a b.csv?x=1"}, {"url": "gs://acme/a b.csv?x=1"}),
    ({"meeting_url": f"https://a.example.com/meeting/r/host?skip=1&auth_token={JWT}#x"}, {"meeting_url": "https://a.example.com/meeting/r/host"}),
    ({"meeting_url": "https://a.example.com/meeting/r?skip=1"}, {"meeting_url": "https://a.example.com/meeting/r"}),
    ({"meeting_url": f"https://a.example.com/{JWT}/r"}, {"meeting_url": f"https://a.example.com/{CUT}/r"}),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), BY_KEY, ids=lambda value: json.dumps(value)[:50])
def test_secrets_are_found_by_their_keys(value: Any, expected: Any) -> None:
    assert redact(value) == expected
    assert redact([{"deep": [value]}]) == [{"deep": [expected]}]


BY_VALUE = [
    (JWT, CUT),
    (LONG_JWT, CUT),
    (f"token {LONG_JWT}, and more", f"token {CUT}, and more"),
    (f"x_{JWT}", f"x_{CUT}"),
    (f"...{JWT}", f"...{CUT}"),
    ("eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn", CUT),
    (f"https://a.example.com/join/{JWT}/now", f"https://a.example.com/join/{CUT}/now"),
    (SIGNED, WEB),
    (f"see <{SIGNED}> and {SIGNED} too", f"see <{WEB}> and {WEB} too"),
    (f'{{"at": "{SIGNED}", "n": 1}}', f'{{"at": "{WEB}", "n": 1}}'),
    (f"{WEB}?name='x'&X-Amz-Signature=c0ffee", WEB),
    (f"{WEB}?a=1\\u0026X-Amz-Signature=c0ffee", WEB),
    (f"{WEB}?a=1&amp;Signature=c0ffee", WEB),
    (f"{WEB}?next=https%3A%2F%2Fh%2Fk%3FX-Amz-Signature%3Dc0ffee", WEB),
    (f"{WEB}?Expires=1&Signature=abc%3D", WEB),
    (f"{WEB}?GoogleAccessId=a%40b&Expires=1", WEB),
    (f"{WEB}?X-Goog-Credential=a", WEB),
    (f"{WEB}?OSSAccessKeyId=a&Expires=1", WEB),
    (f"{WEB}?AWSAccessKeyId=a", WEB),
    (f"{WEB}?x-oss-credential=a", WEB),
    (f"{WEB}?sv=2024&sig=abc", WEB),
    (f"{WEB}?auth_token=abc", WEB),
    (f"{WEB}?token=abc", WEB),
    (f"{WEB}?Key-Pair-Id=abc&Policy=x", WEB),
    (f"{WEB}?stream_key=abc", WEB),
    (f"{WEB}#access_token=abc", WEB),
    (f"HTTPS://Files.example.com/k?SIG=1&at=s3://acme/k&{JWT}", "HTTPS://Files.example.com/k"),
    ("https://me:pass@a.example.com/x?page=2", f"https://{CUT}@a.example.com/x?page=2"),
    ("/acme/k?part=1&X-Amz-Signature=c0ffee&z=1", f"/acme/k?part=1&X-Amz-Signature={CUT}&z=1"),
    ("https://a.example.com/two words?a=1&sig=c0ffee", f"https://a.example.com/two words?a=1&sig={CUT}"),
    ("logs://a.example.com/k?sig=c0ffee", f"logs://a.example.com/k?sig={CUT}"),
    ("rtmp://a.example.com/live/key", CUT),
    ("push to RTMPS://a.example.com:443/live/key failed", f"push to {CUT} failed"),
    ("/acme/k?sig=c0ffeertmp://h/key", f"/acme/k?sig={CUT}"),
    ("Authorization: Bearer abc.def-1", f"Authorization: Bearer {CUT}"),
    ("{'Authorization': 'Bearer abc'}", f"{{'Authorization': 'Bearer {CUT}'}}"),
    (f"bearer  {JWT}", f"bearer  {CUT}"),
    (f"s3://acme/a.csv: PUT {SIGNED} failed", f"s3://acme/a.csv: PUT {WEB} failed"),
    (f"s3://acme/a.csv {JWT}", f"s3://acme/a.csv {CUT}"),
]


@pytest.mark.parametrize(("text", "expected"), BY_VALUE)
def test_secrets_are_found_by_their_form(text: str, expected: str) -> None:
    assert redact_text(text) == expected
    assert redact({"unknown": [{"field": text}]}) == {"unknown": [{"field": expected}]}


NO_SECRETS = [
    "s3://acme/live/chat/Rec-1.csv",
    "s3://acme/a b/What now?.csv",
    "gs://acme/a?X-Goog-Signature=1&token=2",
    f"oss://acme/a?u={SIGNED}",
    f"azure://acme/{JWT}?sig=1",
    "s3://acme/the Bearer song.mp4",
    "https://a.example.com/rooms?page=2&sort=-created_at&design=blue",
    "https://a.example.com/heyJude.v1.2.mp4",
    "66be3a4e91c2d3e4f5061728",
    "2024-08-15T17:35:52.67Z",
    "Tomás Ruiz: what is a signature? A token of trust; sig = 1.",
    "eyJ is how many tokens begin.",
    "a.b.c",
    "",
]


@pytest.mark.parametrize("text", NO_SECRETS)
def test_other_texts_are_unchanged(text: str) -> None:
    assert redact({"path": text, "location": text[:0], "other": [text]}) == {
        "path": text,
        "location": "",
        "other": [text],
    }


def test_bucket_uris_within_a_text_are_unchanged() -> None:
    assert redact_text(f"s3://acme/a?sig=1 is not {SIGNED}") == f"s3://acme/a?sig=1 is not {WEB}"


def test_the_argument_is_not_modified() -> None:
    value = {"playback": {"url": WEB}, "rtmp_urls": ["rtmp://a"]}
    before = json.dumps(value)
    redact(value)
    assert json.dumps(value) == before


def test_json_may_be_nested_deeper_than_the_recursion_limit() -> None:
    value: Any = {"note": JWT}
    for _ in range(50_000):
        value = [value]
    found = redact(value)
    while isinstance(found, list):
        found = found[0]
    assert found == {"note": CUT}


@pytest.mark.parametrize(
    "piece", ["eyJ", "eyJ.", "a.", "?sig", "&", "s3://", "https://", "Bearer ", "-", " ", "%3D", "x-amz-"]
)
def test_a_long_text_takes_linear_time(piece: str) -> None:
    start = time.perf_counter()
    redact({"x": piece * (300_000 // len(piece))})
    assert time.perf_counter() - start < 2


PIECES = [
    *("s3://", "gs://acme/k", "https://", "http://h/p", "rtmp://", "rtmps://h/k"),
    *("Bearer ", "bearer\t", "eyJ", JWT, CUT, "\\u0026", "amp;", "%3D"),
    *("?", "&", "=", "#", ".", " ", "\n", '"', "'", "<", ">", "/", ":", "@", "-", "_", "a", "7"),
    *("sig=", "X-Amz-Signature=", "token", "auth_token=c0ffee", "Signature", "é", "\ud800"),
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20)
NAMES = st.sampled_from(
    ["url", "URL", "rtmp", "rtmp_urls", "meeting_url", "location", "a_presigned_url", "path", "note", "stream_key"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_redact_is_idempotent(value: Any) -> None:
    once = redact(value)
    assert redact(once) == once


@given(TEXTS)
def test_redact_text_is_idempotent(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@given(TEXTS.filter(lambda text: "://" not in text), TEXTS)
def test_a_token_is_found_in_any_context(before: str, after: str) -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmVk"
    for found in (redact_text(before + secret + after), redact([{"x": before + secret + after}])[0]["x"]):
        assert "c2VjcmV0" not in found
        assert "c2lnbmVk" not in found


@given(TEXTS.map(lambda text: re.sub(r'[\s"<>]', "", text)), TEXTS)
def test_a_signature_is_found_in_any_context(other_parameters: str, after: str) -> None:
    text = f"GET https://h.example.com/k?{other_parameters}&X-Amz-Signature=c2lnbmVk {after}"
    assert "c2lnbmVk" not in redact_text(text)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(each) for key, each in value.items()}
    return [_shape(each) for each in value] if isinstance(value, list) else None


@given(VALUES)
def test_keys_and_shape_are_unchanged(value: Any) -> None:
    assert _shape(redact(value)) == _shape(value)
