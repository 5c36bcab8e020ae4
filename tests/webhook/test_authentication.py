"""Authentication of webhooks: secrets from the environment, several at once, and signatures."""

from __future__ import annotations

import hashlib
import hmac
import statistics
import time

import pytest

from roomledger.settings import Source, WorkspaceSource
from roomledger.webhook.authentication import Credentials, has_secret, is_signed, read_credentials, variable

BODY = b'{"id": "e1"}'


def source(name: str = "talk", header: str | None = "X-Secret") -> Source:
    return WorkspaceSource(name=name, customer="Acme", url=f"100ms://{name}", webhook_header=header)


def signature(secret: bytes, body: bytes = BODY) -> bytes:
    return hmac.new(secret, body, hashlib.sha256).hexdigest().encode()


@pytest.mark.parametrize(
    ("name", "signing", "expected"),
    [
        ("talk", False, "ROOMLEDGER_WEBHOOK_SECRETS_TALK"),
        ("acme-eu_2", False, "ROOMLEDGER_WEBHOOK_SECRETS_ACME_EU_2"),
        ("talk", True, "ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_TALK"),
    ],
)
def test_each_source_has_its_own_environment_variable(name: str, signing: bool, expected: str) -> None:
    assert variable(name, signing=signing) == expected


def test_secrets_are_separated_by_blanks() -> None:
    environ = {
        "ROOMLEDGER_WEBHOOK_SECRETS_TALK": " a\tbc\n",
        "ROOMLEDGER_WEBHOOK_SIGNING_SECRETS_TALK": "ä",
        "ROOMLEDGER_WEBHOOK_SECRETS_OTHER": "x",
    }
    assert read_credentials(source(), environ) == Credentials("X-Secret", (b"a", b"bc"), ("ä".encode(),))
    assert read_credentials(source(), {}) == Credentials("X-Secret", (), ())
    assert read_credentials(source(header=None), environ) is None


def test_repr_hides_the_secrets() -> None:
    assert "hidden" not in repr(Credentials("X-Secret", (b"hidden-one",), (b"hidden-two",)))


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (b"old", True),
        (b"new", True),
        ("späť".encode(), True),
        ("späť".encode("iso-8859-2"), False),
        (b"\xff\xfe", False),
        (b"ol", False),
        (b"oldnew", False),
        (b"old new", False),
        (b"OLD", False),
        (b"", False),
    ],
)
def test_one_of_the_valid_secrets_is_required(candidate: bytes, expected: bool) -> None:
    assert has_secret(Credentials("X-Secret", (b"old", b"new", "späť".encode()), ()), candidate) is expected


def test_without_secrets_no_candidate_is_valid() -> None:
    assert not has_secret(Credentials("X-Secret", (), ()), b"")


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (signature(b"old"), True),
        (signature(b"new"), True),
        (b"sha256=" + signature(b"new"), True),
        (b"SHA256=" + signature(b"new").upper(), True),
        (b" " + signature(b"new") + b" ", True),
        (signature(b"other"), False),
        (signature(b"new", BODY + b"\n"), False),
        (signature(b"new")[:-1], False),
        (b"md5=" + signature(b"new"), False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_one_of_the_signing_secrets_must_have_signed(candidate: bytes, expected: bool) -> None:
    assert is_signed(Credentials("X-Secret", (b"s",), (b"old", b"new")), BODY, candidate) is expected


def test_without_signing_secrets_no_signature_is_checked() -> None:
    assert is_signed(Credentials("X-Secret", (b"s",), ()), BODY, b"anything")


def test_the_duration_does_not_reveal_which_secret_matched() -> None:
    credentials = Credentials("X-Secret", tuple(bytes([number]) * 200_000 for number in range(20)), ())

    def seconds(candidate: bytes) -> float:
        durations = []
        for _ in range(9):
            start = time.perf_counter()
            assert has_secret(credentials, candidate)
            durations.append(time.perf_counter() - start)
        return statistics.median(durations)

    first, last = seconds(credentials.secrets[0]), seconds(credentials.secrets[-1])
    # With an early exit the last would take twenty times as long as the first.
    assert last < 4 * first
