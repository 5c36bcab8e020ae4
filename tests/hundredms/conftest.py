"""A simulated vendor with 45 assets, and a client of it."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from roomledger.hundredms.client import Client
from sandbox.dataset.workspace import Workspace
from sandbox.hundredms_api import Vendor, vendor_server
from tests.hundredms.serving import KEYS, Time, asset, open_client


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    ours = Workspace("acme", "acme-100ms", "acme", KEYS.access_key, KEYS.secret)
    ours.assets = [asset(number) for number in range(45)]
    ours.contents = {"asset001": b"SenderName,Message\nPriya,hello\n", "asset002": b""}
    with vendor_server([ours]) as server:
        yield server


@pytest.fixture
def passing() -> Time:
    return Time(time.time())


@pytest.fixture
def api(vendor: Vendor, passing: Time) -> Iterator[Client]:
    with open_client(vendor.endpoint, passing) as client:
        yield client
