"""HTTP server of the simulated vendor: responses as data, persistent connections, and truncated responses."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from sandbox.dataset.workspace import Record

HOST = "127.0.0.1"


class Response(NamedTuple):
    """A whole response; `cut` omits the second half of its body."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def json_response(status: int, body: Record, *headers: tuple[str, str]) -> Response:
    """A JSON response of the API."""
    return Response(status, "application/json", json.dumps(body, ensure_ascii=False).encode(), headers)


def s3_error(status: int, code: str, message: str) -> Response:
    """An XML error response of an S3 bucket."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(status, "application/xml", body.encode())


class Server(ThreadingHTTPServer):
    """Listens on a free port, and closes its open connections at the end."""

    daemon_threads = False  # closing the server waits for all its threads
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.errors: list[Exception] = []
        self.respond: Callable[[str, str | None], Response]
        """Responds to `GET target` with this `Authorization`; its exceptions are added to `errors`."""
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection in its own thread."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close the connections that clients keep open."""
        for connection in [*self._connections]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client closed the connection
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def do_GET(self) -> None:
        try:
            response = self.server.respond(self.path, self.headers.get("Authorization"))
        except Exception as error:  # `vendor_server` raises it again, in the test's thread
            self.server.errors.append(error)
            response = json_response(500, {"code": 500, "message": repr(error), "details": []})
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for name, value in response.headers:
            self.send_header(name, value)
        self.end_headers()
        if response.cut:
            self.close_connection = True
        self.wfile.write(response.body[: len(response.body) // 2] if response.cut else response.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
