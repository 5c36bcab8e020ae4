"""No log, error or client shows a token, a secret or a signature."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack

import pytest

from roomledger.hundredms.client import Client
from roomledger.stores import StoreError
from sandbox.dataset.workspace import SIGNATURE_CANARY
from sandbox.hundredms_api import Vendor
from sandbox.hundredms_api.http import Response
from tests.hundredms.serving import (
    KEYS,
    SECRETS,
    Time,
    open_client,
    server_of,
    storage,
)


def test_no_log_of_any_level_shows_a_secret(
    api: Client, vendor: Vendor, passing: Time, caplog: pytest.LogCaptureFixture
) -> None:
    loggers = ["", "httpx", "httpcore", "httpcore.http11", "httpcore.connection"]
    signed = Response(307, "text/plain", b"", (("Location", f"/elsewhere?Unknown={SIGNATURE_CANARY}'"),))
    with ExitStack() as levels:
        for name in loggers:
            levels.enter_context(caplog.at_level(logging.DEBUG, logger=name))
        vendor.faults.expired_urls = vendor.faults.server_errors = 1
        assert list(api.content("asset001"))
        vendor.faults.at, vendor.faults.cut = "/storage/", 99
        with pytest.raises(StoreError):
            list(api.content("asset001"))
        with storage(signed) as base_url, open_client(base_url, passing) as other, pytest.raises(StoreError):
            list(other.content("a"))
        with (
            server_of(lambda *_: signed) as base_url,
            open_client(base_url, passing) as other,
            pytest.raises(StoreError),
        ):
            other.get("/rooms")
        lines = [
            f"{record.name} {record.getMessage()} {record.args} {json.dumps(record.__dict__, default=repr)}"
            for record in caplog.records
        ]
    for secret in SECRETS:
        assert not [line for line in lines if secret in line]
    assert any(
        line.startswith("httpx HTTP Request: GET http://127.0.0.1") and "/storage/vendor-eu/1.csv" in line
        for line in lines
    )
    assert any("/elsewhere?[redacted]" in line for line in lines)
    assert any(line.startswith("httpcore.http11 ") for line in lines)
    assert any(line.startswith("roomledger.hundredms.retries retrying in ") for line in lines)


def test_the_client_shows_no_secret(api: Client) -> None:
    list(api.content("asset001"))
    shown = (
        repr(api)
        + repr(vars(api))
        + "".join(repr(vars(part)) for part in vars(api).values() if hasattr(part, "__dict__"))
    )
    assert SIGNATURE_CANARY not in shown
    assert KEYS.secret not in shown
