"""The endpoint as a web application: `POST /webhooks/<source>`, 200 only after the event is durable.

The vendor treats only status 200 as received; it retries after 1, 3 and 10 seconds and then gives up (vendor
documentation). So every body of an authenticated sender is stored, even if it is not an event: a refusal would lose it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from roomledger.queues import QueueError
from roomledger.settings import SettingsError
from roomledger.webhook.authentication import SIGNATURE_HEADER, has_secret, is_signed, variable
from roomledger.webhook.intake import CurrentIntake

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""Size of the largest body that is accepted; the vendor's bodies have a few kilobytes."""

_THREADS = 8


def create_app(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """Create the application; the first request reads settings and secrets."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    current = CurrentIntake(environ)
    # Own threads: a slow inbox must not block the threads that serve the rest of the API server.
    threads = ThreadPoolExecutor(_THREADS, "roomledger-webhook")

    @app.post("/webhooks/{source}")
    async def receive(source: str, request: Request) -> Response:
        received_at = datetime.now(UTC)
        try:
            intake = current.get()
        except SettingsError as error:
            log.error("cannot accept a webhook for %.100r until the settings are fixed: %s", source, error)
            return _answer(503, "the server's settings are invalid: see its log")
        credentials = intake.credentials.get(source)
        if credentials is None:
            log.warning("refused a webhook for %.100r: no source of that name accepts webhooks", source)
            return _answer(404, "no source of that name accepts webhooks")
        if not credentials.secrets:
            log.error("cannot accept webhooks for %s: set %s in the environment", source, variable(source))
            return _answer(503, "the server's settings are invalid: see its log")
        if not has_secret(credentials, _header(request, credentials.header)):
            log.warning("refused a webhook for %s: the header %s is missing or wrong", source, credentials.header)
            return _answer(401, "the header with the secret is missing or wrong")
        try:
            body = await _body(request)
        except ClientDisconnect:
            log.warning("the sender of a webhook for %s disconnected before the end of the body", source)
            return _answer(400, "the body is incomplete")
        if body is None:
            log.error("refused a webhook for %s: the body has more than %d bytes", source, MAX_BODY_BYTES)
            # The rest of the body is not read.
            return _answer(413, f"the body has more than {MAX_BODY_BYTES} bytes", {"Connection": "close"})
        if not is_signed(credentials, body, _header(request, SIGNATURE_HEADER)):
            log.warning("refused a webhook for %s: the header %s is missing or wrong", source, SIGNATURE_HEADER)
            return _answer(401, f"the header {SIGNATURE_HEADER} is missing or wrong")
        try:
            await asyncio.get_running_loop().run_in_executor(threads, intake.put, source, body, received_at)
        except QueueError as error:
            log.error("could not store a webhook for %s; the vendor will send it again: %s", source, error)
            return _answer(503, "the event could not be stored: send it again")
        return _answer(200, "received")

    return app


def _header(request: Request, name: str) -> bytes:
    """The raw bytes of a header, empty when it is missing."""
    return request.headers.get(name, "").encode("latin-1")


async def _body(request: Request) -> bytes | None:
    """The whole body, or None as soon as its Content-Length or the bytes received exceed the limit."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            return None
    return bytes(body)


def _answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)
