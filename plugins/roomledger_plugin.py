"""The vendor's webhooks, mounted in Airflow's API server: `POST /roomledger/webhooks/<source>`.

Every Airflow process imports this file, including tasks: the endpoint is imported with the first request only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin


@cache
def _app() -> Any:
    from roomledger.webhook.endpoint import create_app

    return create_app()


async def webhooks(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """Handle a request (ASGI). Airflow's authentication does not cover this path: the endpoint has its own."""
    await _app()(scope, receive, send)


class RoomledgerPlugin(AirflowPlugin):
    """The one plugin."""

    name = "roomledger"
    fastapi_apps = [  # noqa: RUF012  # as its base class declares it
        {"name": "roomledger", "app": webhooks, "url_prefix": "/roomledger"}
    ]
