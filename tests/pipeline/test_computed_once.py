"""Key, session and redaction are computed once between the bucket or the endpoint and the tables.

What a source excludes is checked again when an object is loaded: the settings may have changed since it was observed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from roomledger.formats import object_keys
from roomledger.hundredms import redact
from roomledger.ledger import session_evidence
from roomledger.ledger.database import Database
from roomledger.pipeline.subscriptions import webhook_subscription
from roomledger.queues.inbox import Inbox
from roomledger.webhook.endpoint import create_app
from tests.folders import chat, chat_key, put, source_of
from tests.pipeline.listening import TALK, ingest_once
from tests.pipeline.loading import collect, load, messages
from tests.warehouses import fetch

Function = Callable[..., Any]


def count_calls(monkeypatch: pytest.MonkeyPatch, function: Function) -> list[Any]:
    """Wrap the function in every module that has it under a name; give the list of first arguments, one per call."""
    calls: list[Any] = []

    def counted(first: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(first)
        return function(first, *args, **kwargs)

    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("roomledger"):
            for name, value in list(vars(module).items()):
                if value is function:
                    monkeypatch.setattr(module, name, counted)
    return calls


def test_a_chat_file_is_recognised_once_and_its_session_resolved_once(
    one_engine: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(tmp_path / "bucket")
    uri = put(tmp_path / "bucket", chat_key(), chat("hello"))
    recognised = count_calls(monkeypatch, object_keys.recognise)
    resolved = count_calls(monkeypatch, session_evidence.resolve)
    collect(one_engine, source)
    load(one_engine, source)
    assert messages(one_engine) == ["hello"]
    assert ([seen.uri for seen in recognised], len(resolved)) == ([uri], 1)


def test_a_webhook_is_redacted_once(
    one_engine: Database, tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"id": "e1", "type": "session.open.success", "data": {"session_id": "s1", "token": "of a user"}}
    redacted = count_calls(monkeypatch, redact.redact)
    assert post(tmp_path, body) == 200
    assert ingest_once(one_engine, [TALK], {}, [webhook_subscription(inbox, [TALK])]).counts["events"] == 1
    stored = "SELECT session_id, CAST(record AS TEXT) LIKE '%of a user%' FROM vendor_events"
    assert fetch(one_engine, stored) == [("s1", False)]
    assert redacted == [body]


def post(folder: Path, body: dict[str, Any]) -> int:
    """Post a webhook to an endpoint whose inbox is that of the `inbox` fixture; give the status of the answer."""
    config = folder / "roomledger.toml"
    config.write_text(
        f'[warehouse]\nurl = "duckdb:///warehouse.duckdb"\n[webhooks]\ninbox = "file://{folder}/inbox"\n'
        f'[[source]]\nname = "talk"\ncustomer = "Acme"\nurl = "{TALK.url}"\nwebhook_header = "X-Secret"\n'
    )
    app = create_app({"ROOMLEDGER_CONFIG": str(config), "ROOMLEDGER_WEBHOOK_SECRETS_TALK": "secret"})

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://endpoint") as client:
            return await client.post("/webhooks/talk", json=body, headers={"X-Secret": "secret"})

    return asyncio.run(send()).status_code
