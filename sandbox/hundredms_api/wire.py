"""HTTP as the vendor speaks it: answers as data, connections that are kept open, and answers that are cut short."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from sandbox.dataset.workspace import Record

HOST = "127.0.0.1"


class Answer(NamedTuple):
    """A whole answer; `cut` leaves out the second half of its body."""

    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def json_answer(status: int, body: Record, *headers: tuple[str, str]) -> Answer:
    """Answer as the API does."""
    return Answer(status, "application/json", json.dumps(body, ensure_ascii=False).encode(), headers)


def error_of_s3(status: int, code: str, message: str) -> Answer:
    """Answer as a bucket of S3 does, which knows nothing of the API's errors."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, "application/xml", body.encode())


class Server(ThreadingHTTPServer):
    """Listens at a free port; knows its open connections, so that none outlives it."""

    daemon_threads = False  # closing the server waits for all its threads
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__((HOST, 0), _Handler)
        self.errors: list[Exception] = []
        self.answer: Callable[[str, str | None], Answer]
        """Answers `GET target` with this `Authorization`; what it raises is kept in `errors`."""
        self._connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        for connection in [*self._connections]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has gone
            super().handle()

    def finish(self) -> None:
        with suppress(ConnectionError):
            super().finish()

    def do_GET(self) -> None:
        try:
            answer = self.server.answer(self.path, self.headers.get("Authorization"))
        except Exception as error:  # whatever it is: it is raised where the test sees it
            self.server.errors.append(error)
            answer = json_answer(500, {"code": 500, "message": repr(error), "details": []})
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if answer.cut:
            self.close_connection = True
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
