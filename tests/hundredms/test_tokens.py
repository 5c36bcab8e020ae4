"""Management tokens as the vendor requires them, renewed as rarely as possible, from many threads."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import jwt
import pytest

from roomledger.hundredms.access import Keys
from roomledger.hundredms.tokens import Tokens

KEYS = Keys("key-of-acme", "an-invented-secret-of-more-than-32-bytes")
NOW = 1_800_000_000.75
HOUR = 3600


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(KEYS, clock)


def test_a_token_has_the_documented_claims(tokens: Tokens) -> None:
    token = tokens.current()
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(
        token, KEYS.secret, ["HS256"], options={"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    )
    assert UUID(claims.pop("jti")).version == 4
    assert claims == {
        "access_key": "key-of-acme",
        "type": "management",
        "version": 2,
        "iat": 1_799_999_990,
        "nbf": 1_799_999_990,
        "exp": 1_799_999_990 + 24 * HOUR,
    }


def test_a_token_is_valid_for_a_slow_clock() -> None:
    jwt.decode(Tokens(KEYS, lambda: time.time() + 9).current(), KEYS.secret, ["HS256"])


def test_a_token_is_reused_and_renewed_well_before_it_expires(tokens: Tokens, clock: Clock) -> None:
    first = tokens.current()
    clock.now = NOW + 22.9 * HOUR
    assert tokens.current() == first
    clock.now = NOW + 23.1 * HOUR
    second = tokens.current()
    assert second != first
    clock.now += 22 * HOUR
    assert tokens.current() == second


def test_only_a_refusal_of_the_current_token_renews_it(tokens: Tokens) -> None:
    first = tokens.current()
    second = tokens.renew(first)
    assert second != first
    assert tokens.renew(first) == second
    assert tokens.renew("never ours") == second
    assert tokens.current() == second


def test_many_threads_with_one_refused_token_sign_one_new_token(tokens: Tokens) -> None:
    refused, together = tokens.current(), Barrier(16)

    def renew(_: int) -> str:
        together.wait(10)
        return tokens.renew(refused)

    with ThreadPoolExecutor(16) as pool:
        [renewed] = set(pool.map(renew, range(16)))
    assert renewed != refused


def test_repr_hides_the_secret(tokens: Tokens) -> None:
    for shown in (repr(KEYS), str(KEYS), repr(tokens)):
        assert "invented" not in shown
    assert "key-of-acme" in repr(KEYS)
