"""A simulated Cloud Storage that, unlike emulators, grants permissions on objects only, and records every request.

It serves one bucket, `acme`, by the JSON API (google-cloud-storage) and the XML API (obstore). A request that needs
another permission than `storage.objects.list`, `get` or `create`, such as for the bucket's metadata, gets a 403.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

GENERATION = "1772452800123456"
OBJECTS = {"live/key": b"plain", "live//odd": b"odd", "other/key": b"elsewhere"}

_LIST = "/storage/v1/b/acme/o"
_GET = "/storage/v1/b/acme/o/"
_DOWNLOAD = "/download/storage/v1/b/acme/o/"
_UPLOAD = "/upload/storage/v1/b/acme/o"
_XML = "/acme/"


@dataclass
class ObjectRights:
    """The server's address, and the requests that it got."""

    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and path of each request, without the query."""
    queries: list[dict[str, list[str]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    """Values of the header Authorization."""


def _resource(key: str) -> dict[str, str]:
    size = str(len(OBJECTS[key]))
    return {"name": key, "generation": GENERATION, "size": size, "timeCreated": "2026-03-02T12:00:00.123Z"}


def _handler(server: ObjectRights) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 1

        def _handle(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            url = urlsplit(self.path)
            server.requests.append(f"{self.command} {url.path}")
            server.queries.append(parse_qs(url.query))
            server.tokens.add(self.headers.get("Authorization", ""))
            status, response = self._response(url.path, parse_qs(url.query))
            content = response if isinstance(response, bytes) else json.dumps(response).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Last-Modified", "Mon, 02 Mar 2026 12:00:00 GMT")
            self.send_header("ETag", '"tag"')
            self.send_header("X-Goog-Generation", GENERATION)
            self.end_headers()
            self.wfile.write(content)

        def _response(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
            if self.command == "POST" and path == _UPLOAD:
                return 200, {"name": "event"}
            if self.command == "GET" and path == _LIST:
                [prefix] = query.get("prefix", [""])
                return 200, {"items": [_resource(key) for key in OBJECTS if key.startswith(prefix)]}
            for start in (_GET, _DOWNLOAD, _XML) if self.command == "GET" else ():
                if path.startswith(start):
                    key = unquote(path.removeprefix(start))
                    if key not in OBJECTS:
                        return 404, {"error": {"code": 404, "message": "No such object"}}
                    return 200, _resource(key) if start == _GET else OBJECTS[key]
            return 403, {"error": {"code": 403, "message": f"no permission to {self.command} {path}"}}

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    return Handler


@contextmanager
def object_rights() -> Iterator[ObjectRights]:
    """Start the server on a free port."""
    recorded = ObjectRights()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorded)) as server:
        recorded.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield recorded
        finally:
            server.shutdown()
            thread.join()
