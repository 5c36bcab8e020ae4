"""The vendor itself: its API below `/v2`, and the bytes that it holds below `/held`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from urllib.parse import parse_qsl, unquote, urlsplit

from sandbox.dataset.workspace import Record, Workspace
from sandbox.hundredms_api.access import HELD, Signatures, Tokens
from sandbox.hundredms_api.answers import Refused, find, page, single
from sandbox.hundredms_api.faults import Faults
from sandbox.hundredms_api.wire import HOST, Answer, Server, error_of_s3, json_answer

API = "/v2/"
MAX_PRESIGN_S = 3 * 24 * 3600


@dataclass(slots=True)
class Vendor:
    """The server while it runs; workspaces and faults may be changed at any time."""

    endpoint: str
    """`http://127.0.0.1:port/v2`"""
    workspaces: Sequence[Workspace]
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    """`GET /v2/path?query` of every request to the API, in order."""
    downloads: list[str] = field(default_factory=list)
    """`/held/path`, without its signature, of every request for bytes, in order."""
    _tokens: Tokens = field(default_factory=Tokens)
    _signatures: Signatures = field(default_factory=Signatures)
    _striking: Lock = field(default_factory=Lock)
    _stopped: Event = field(default_factory=Event)

    def complete(self, asset_id: str) -> None:
        """Let an asset that was `processing` be what its workspace says of it; raises KeyError if it was not."""
        for workspace in self.workspaces:
            if asset_id in workspace.processing:
                workspace.processing.remove(asset_id)
                return
        raise KeyError(asset_id)

    def answer(self, target: str, authorization: str | None) -> Answer:
        """Answer `GET target`."""
        api = urlsplit(target).path.startswith(API)
        if api:
            self.requests.append(f"GET {target}")
        else:
            self.downloads.append(target.partition("?")[0])
        slow_s, fault = self._strike(target)
        self._stopped.wait(slow_s)
        if fault == "server_errors":
            return json_answer(503, {"code": 503, "message": "service unavailable", "details": []})
        if fault == "rate_limit":
            return _rate_limited(self.faults)
        if fault == "garbage":
            return Answer(200, "text/html", b"<!doctype html><title>One moment</title><p>We will be right back.</p>\n")
        try:
            answer = self._api(target, authorization or "") if api else self._bytes(target, authorization)
        except Refused as refused:
            answer = json_answer(refused.code, refused.body)
        return answer._replace(cut=fault == "cut")

    def _strike(self, target: str) -> tuple[float, str]:
        """Seconds to wait, and the fault that strikes."""
        with self._striking:
            if self.faults.at in target:
                for name in ("server_errors", "rate_limit", "garbage", "cut"):
                    if self._next(name):
                        return self.faults.slow_s, name
                return self.faults.slow_s, ""
            return 0, ""

    def _next(self, name: str) -> bool:
        left: int = getattr(self.faults, name)
        setattr(self.faults, name, max(0, left - 1))
        return left > 0

    def _api(self, target: str, authorization: str) -> Answer:
        workspace = self._tokens.workspace(authorization, self.workspaces, self.faults)
        url = urlsplit(target)
        query = dict(parse_qsl(url.query))
        match [unquote(part) for part in url.path.removeprefix(API).split("/")]:
            case [name]:
                answer = json_answer(200, page(workspace, name, query, self.faults))
                if self.faults.on_page:
                    self.faults.on_page(target)
                return answer
            case [name, record_id]:
                return json_answer(200, single(workspace, name, record_id, self.faults))
            case ["recording-assets", asset_id, "presigned-url"]:
                return json_answer(200, self._presigned(workspace, asset_id, query.get("presign_duration", "3600")))
            case _:
                raise Refused(404, "not found", url.path)

    def _presigned(self, workspace: Workspace, asset_id: str, seconds: str) -> Record:
        asset = find(workspace, "recording-assets", asset_id)
        if not (seconds.isascii() and seconds.isdigit() and 1 <= int(seconds) <= MAX_PRESIGN_S):
            raise Refused(400, "presign_duration is out of range", seconds)
        if asset_id not in workspace.contents or asset["status"] == "processing":
            raise Refused(404, "asset file not found", asset_id)
        with self._striking:
            expired = self._next("expired_urls")
        path = HELD + asset["path"].partition("://")[2]
        signed = self._signatures.sign(path, int(seconds), expired=expired)
        url = self.endpoint.removesuffix(API.rstrip("/")) + signed
        return {"id": asset_id, "path": asset["path"], "url": url, "expiry": int(seconds)}

    def _bytes(self, target: str, authorization: str | None) -> Answer:
        url = urlsplit(target)
        path = unquote(url.path)
        if authorization is not None:
            return error_of_s3(400, "InvalidArgument", "Only one auth mechanism allowed")
        fault = self._signatures.fault(path, dict(parse_qsl(url.query)))
        if fault:
            return error_of_s3(403, "AccessDenied", fault)
        for workspace in self.workspaces:
            for asset in [*workspace.assets]:
                if HELD + asset["path"].partition("://")[2] == path and asset["id"] in workspace.contents:
                    return Answer(200, "application/octet-stream", workspace.contents[asset["id"]])
        return error_of_s3(404, "NoSuchKey", "The specified key does not exist.")


@contextmanager
def vendor_server(workspaces: Sequence[Workspace]) -> Iterator[Vendor]:
    """Tell these workspaces until the block ends; raises then what went wrong in the server itself or in `on_page`."""
    with Server() as server:
        vendor = Vendor(f"http://{HOST}:{server.server_port}{API.rstrip('/')}", workspaces)
        server.answer = vendor.answer
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="vendor")
        thread.start()
        try:
            yield vendor
        finally:
            vendor._stopped.set()
            server.shutdown()
            thread.join()
            server.hang_up()
    for error in server.errors:
        raise error


def _rate_limited(faults: Faults) -> Answer:
    said = f", retry after {faults.retry_after_s} seconds" if faults.rate_limit_form == "text" else ""
    headers = [("Retry-After", str(faults.retry_after_s))] if faults.rate_limit_form == "header" else []
    return json_answer(429, {"code": 429, "message": f"rate limit exceeded{said}", "details": []}, *headers)
