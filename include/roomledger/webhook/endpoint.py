"""The endpoint as a web application: `POST /webhooks/<source>`, 200 only after the event is durable.

The vendor counts nothing but 200 as received; it tries again after 1, 3 and 10 seconds and then gives up (vendor
documentation). So whatever an authenticated sender brings is kept, even what is no event: a refusal would lose it.
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
from roomledger.webhook.authentication import SIGNATURE_HEADER, is_signed, knows, variable
from roomledger.webhook.intake import Desks

log = logging.getLogger(__name__)

MOST_BYTES = 1024 * 1024
"""Size of the largest body that is taken: those of the vendor have a few kilobytes."""

_THREADS = 8


def create_app(environ: Mapping[str, str] = os.environ) -> FastAPI:
    """Make the application; settings and secrets are read with its first request."""
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    desks = Desks(environ)
    # Threads of its own: when the inbox is slow, those that serve the rest of the API server must not wait for it.
    threads = ThreadPoolExecutor(_THREADS, "roomledger-webhook")

    @app.post("/webhooks/{source}")
    async def take(source: str, request: Request) -> Response:
        received_at = datetime.now(UTC)
        try:
            desk = desks.now()
        except SettingsError as error:
            log.error("a webhook for %.100r cannot be taken until the settings are right: %s", source, error)
            return _answer(503, "the server's settings are wrong: its log says how")
        trust = desk.trusts.get(source)
        if trust is None:
            log.warning("refused a webhook for %.100r: no source of that name takes webhooks", source)
            return _answer(404, "no source of that name takes webhooks")
        if not trust.secrets:
            log.error("no webhook for %s can be taken: set %s in the environment", source, variable(source))
            return _answer(503, "the server's settings are wrong: its log says how")
        if not knows(trust, _header(request, trust.header)):
            log.warning("refused a webhook for %s: the header %s is missing or wrong", source, trust.header)
            return _answer(401, "the header with the secret is missing or wrong")
        try:
            body = await _body(request)
        except ClientDisconnect:
            log.warning("the sender of a webhook for %s hung up in the middle of it", source)
            return _answer(400, "incomplete")
        if body is None:
            log.error("refused a webhook for %s: it has more than %d bytes", source, MOST_BYTES)
            # The rest of the body is on its way and not wanted.
            return _answer(413, f"more than {MOST_BYTES} bytes", {"Connection": "close"})
        if not is_signed(trust, body, _header(request, SIGNATURE_HEADER)):
            log.warning("refused a webhook for %s: the header %s is missing or wrong", source, SIGNATURE_HEADER)
            return _answer(401, f"the header {SIGNATURE_HEADER} is missing or wrong")
        try:
            await asyncio.get_running_loop().run_in_executor(threads, desk.put, source, body, received_at)
        except QueueError as error:
            log.error("a webhook for %s is not taken, and the vendor will send it again: %s", source, error)
            return _answer(503, "the event cannot be kept: send it again")
        return _answer(200, "received")

    return app


def _header(request: Request, name: str) -> bytes:
    """The bytes of a header as they came, none when it is missing."""
    return request.headers.get(name, "").encode("latin-1")


async def _body(request: Request) -> bytes | None:
    """The whole body, or None as soon as it is too large, by what its header says or by what has come."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > MOST_BYTES:
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"detail": detail}, status, headers)
