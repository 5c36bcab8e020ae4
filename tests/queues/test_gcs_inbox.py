"""Permissions that an inbox in GCS needs: no emulator checks them."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from roomledger.runtime import open_inbox
from tests.stores.object_rights import object_rights


def test_an_api_server_needs_only_the_permission_to_create_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", raising=False)
    with object_rights() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.endpoint)
        open_inbox("gs://acme/inbox").put("acme", b"{}", datetime(2026, 3, 2, tzinfo=UTC))
        time.sleep(0.5)  # a request in the background would come now
        assert server.requests == ["POST /upload/storage/v1/b/acme/o"]
