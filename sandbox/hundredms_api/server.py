"""The HTTP server of the simulated vendor: its API below `/v2`, and its stored files below `/storage`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.dataset.workspace import Record, Workspace
from sandbox.hundredms_api.authentication import STORAGE, Signatures, Tokens
from sandbox.hundredms_api.faults import Faults
from sandbox.hundredms_api.http import HOST, Response, Server, json_response, s3_error
from sandbox.hundredms_api.responses import ApiError, find_record, list_page, single_record

API = "/v2/"
MAX_PRESIGN_S = 3 * 24 * 3600


@dataclass(slots=True)
class Vendor:
    """A running server; workspaces and faults may change at any time."""

    endpoint: str
    """`http://127.0.0.1:port/v2`"""
    workspaces: Sequence[Workspace]
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    """`GET /v2/path?query` of every request to the API, in order."""
    downloads: list[str] = field(default_factory=list)
    """`/storage/path`, without the signature, of every request for a file, in order."""
    _tokens: Tokens = field(default_factory=Tokens)
    _signatures: Signatures = field(default_factory=Signatures)
    _fault_lock: Lock = field(default_factory=Lock)
    _stopped: Event = field(default_factory=Event)

    def complete(self, asset_id: str) -> None:
        """Complete an asset that is `processing`. Raises KeyError if it is not."""
        for workspace in self.workspaces:
            if asset_id in workspace.processing:
                workspace.processing.remove(asset_id)
                return
        raise KeyError(asset_id)

    def respond(self, target: str, authorization: str | None) -> Response:
        """Respond to `GET target`."""
        api = urlsplit(target).path.startswith(API)
        if api:
            self.requests.append(f"GET {target}")
        else:
            self.downloads.append(target.partition("?")[0])
        delay_s, fault = self._next_fault(target)
        self._stopped.wait(delay_s)
        if fault == "server_errors":
            return json_response(503, {"code": 503, "message": "service unavailable", "details": []})
        if fault == "rate_limit":
            return _rate_limited(self.faults)
        if fault == "garbage":
            return Response(200, "text/html", b"<!doctype html><title>One moment</title><p>Back in a minute.</p>\n")
        try:
            response = self._api(target, authorization or "") if api else self._file(target, authorization)
        except ApiError as error:
            response = json_response(error.code, error.body)
        return response._replace(cut=fault == "cut")

    def _next_fault(self, target: str) -> tuple[float, str]:
        """Delay in seconds and the fault of this request; empty for none."""
        with self._fault_lock:
            if self.faults.at in target:
                for name in ("server_errors", "rate_limit", "garbage", "cut"):
                    if self._count_down(name):
                        return self.faults.slow_s, name
                return self.faults.slow_s, ""
            return 0, ""

    def _count_down(self, name: str) -> bool:
        left: int = getattr(self.faults, name)
        setattr(self.faults, name, max(0, left - 1))
        return left > 0

    def _api(self, target: str, authorization: str) -> Response:
        workspace = self._tokens.workspace(authorization, self.workspaces, self.faults)
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        match [unquote(part) for part in url.path.removeprefix(API).split("/")]:
            case [name]:
                response = json_response(200, list_page(workspace, name, query, self.faults))
                if self.faults.on_page:
                    self.faults.on_page(target)
                return response
            case [name, record_id]:
                return json_response(200, single_record(workspace, name, record_id, self.faults))
            case ["recording-assets", asset_id, "presigned-url"]:
                return json_response(200, self._presigned(workspace, asset_id, query.get("presign_duration", "3600")))
            case _:
                raise ApiError(404, "not found", url.path)

    def _presigned(self, workspace: Workspace, asset_id: str, seconds: str) -> Record:
        asset = find_record(workspace, "recording-assets", asset_id)
        if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds) <= MAX_PRESIGN_S):
            raise ApiError(400, "presign_duration is out of range", seconds)
        if asset_id not in workspace.contents or asset["status"] == "processing":
            raise ApiError(404, "asset file not found", asset_id)
        with self._fault_lock:
            expired = self._count_down("expired_urls")
        path = STORAGE + asset["path"].partition("://")[2]
        signed = self._signatures.sign(path, int(seconds), expired=expired)
        url = self.endpoint.removesuffix(API.rstrip("/")) + signed
        return {"id": asset_id, "path": asset["path"], "url": url, "expiry": int(seconds)}

    def _file(self, target: str, authorization: str | None) -> Response:
        url = urlsplit(target)
        path = unquote(url.path)
        if authorization is not None:
            return s3_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        error = self._signatures.error(path, dict(parse_qsl(url.query)))
        if error:
            return s3_error(403, "AccessDenied", error)
        for workspace in self.workspaces:
            for asset in [*workspace.assets]:
                if STORAGE + asset["path"].partition("://")[2] == path and asset["id"] in workspace.contents:
                    return Response(200, "application/octet-stream", workspace.contents[asset["id"]])
        return s3_error(404, "NoSuchKey", "The specified key does not exist.")


@contextmanager
def vendor_server(workspaces: Sequence[Workspace]) -> Iterator[Vendor]:
    """Serve these workspaces until the block ends; then raise the first error of the server or of `on_page`."""
    with Server() as server:
        vendor = Vendor(f"http://{HOST}:{server.server_port}{API.rstrip('/')}", workspaces)
        server.respond = vendor.respond
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="vendor")
        thread.start()
        try:
            yield vendor
        finally:
            vendor._stopped.set()
            server.shutdown()
            thread.join()
            server.close_connections()
    for error in server.errors:
        raise error


def _rate_limited(faults: Faults) -> Response:
    wait = f", retry after {faults.retry_after_s} seconds" if faults.rate_limit_form == "text" else ""
    headers = [("Retry-After", str(faults.retry_after_s))] if faults.rate_limit_form == "header" else []
    return json_response(429, {"code": 429, "message": f"rate limit exceeded{wait}", "details": []}, *headers)
