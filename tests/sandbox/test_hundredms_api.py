"""The simulated vendor API: its responses are as documented, and every fault works as described."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import jwt
import pytest
import requests

from sandbox.dataset.workspace import SIGNATURE_CANARY, Workspace
from sandbox.hundredms_api import Vendor, vendor_server

SECRET = "an-invented-secret-of-more-than-32-bytes"
DAY = "2026-03-02T"


def asset(number: int, **other: Any) -> dict[str, Any]:
    """An asset that was created in this minute of an hour."""
    return {
        "id": f"asset{number:03}",
        "job_id": "job1",
        "room_id": f"room{number % 2}",
        "session_id": "session1",
        "type": "chat",
        "path": f"s3://acme/chat/{number}.csv",
        "thumbnails": None,
        "metadata": {},
        "duration": 0,
        "size": 5,
        "status": "completed",
        "created_at": f"{DAY}{10 + number // 60}:{number % 60:02}:00Z",
    } | other


def workspace(name: str = "acme", **lists: Any) -> Workspace:
    return Workspace(name, f"{name}-100ms", name, f"key-of-{name}", f"{SECRET}-{name}", **lists)


def session(number: int, **other: Any) -> dict[str, Any]:
    return {
        "id": f"session{number}",
        "room_id": f"room{number % 2}",
        "active": False,
        "peers": {f"p{number}": {"id": f"p{number}", "joined_at": f"{DAY}1{number}:00:00Z"}},
        "created_at": f"{DAY}1{number}:00:00.5Z",
        "updated_at": f"{DAY}1{number}:30:00Z",
    } | other


def acme() -> Workspace:
    job = {
        "id": "job1",
        "room_id": "room1",
        "session_id": "session1",
        "status": "completed",
        "created_at": f"{DAY}10:00:00Z",
    }
    return workspace(
        rooms=[{"id": "room0", "created_at": f"{DAY}09:00:00Z"}, {"id": "room1", "created_at": f"{DAY}09:00:00Z"}],
        sessions=[session(1), session(2), session(3, active=True)],
        recordings=[job, job | {"id": "job2", "status": "failed"}],
        live_streams=[job | {"id": "live1"}],
        external_streams=[job | {"id": "external1"}],
        assets=[asset(number) for number in range(25)],
    )


@pytest.fixture
def ours() -> Workspace:
    return acme()


@pytest.fixture
def vendor(ours: Workspace) -> Iterator[Vendor]:
    with vendor_server([ours, workspace("other", assets=[asset(7, size=99), asset(99)])]) as vendor:
        yield vendor


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as http:
        yield http


def token(of: Workspace | None = None, secret: str | None = None, **claims: Any) -> str:
    of = of or acme()
    now = int(time.time())
    every: dict[str, Any] = {"access_key": of.access_key, "type": "management", "version": 2, "jti": str(uuid4())}
    every |= {"iat": now, "nbf": now, "exp": now + 60} | claims
    return jwt.encode({name: value for name, value in every.items() if value is not None}, secret or of.secret)


class Client:
    """Sends requests with a token."""

    def __init__(self, vendor: Vendor, http: requests.Session) -> None:
        self.vendor, self.http, self.token = vendor, http, token()

    def get(self, path: str, **query: Any) -> requests.Response:
        return self.http.get(
            f"{self.vendor.endpoint}/{path}",
            params=query,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=10,
        )

    def ids(self, path: str, **query: Any) -> list[str]:
        response = self.get(path, **query)
        assert response.status_code == 200, response.text
        return [each["id"] for each in response.json()["data"] or ()]

    def walk(self, path: str, **query: Any) -> list[str]:
        found, start = [], {}
        while data := (page := self.get(path, **query, **start).json())["data"]:
            found += [each["id"] for each in data]
            start = {"start": page["last"]}
        return found


@pytest.fixture
def client(vendor: Vendor, http: requests.Session) -> Client:
    return Client(vendor, http)


def test_lists_come_in_pages_newest_first(client: Client) -> None:
    page = client.get("recording-assets").json()
    assert page["limit"] == 10
    assert [each["id"] for each in page["data"]] == [f"asset{number:03}" for number in range(24, 14, -1)]
    assert page["last"] == "asset015"
    assert client.get("recording-assets", start="asset000").json() == {"limit": 10, "data": None, "last": ""}
    assert client.walk("recording-assets") == [f"asset{number:03}" for number in range(24, -1, -1)]
    assert client.ids("rooms") == ["room1", "room0"]
    assert client.vendor.requests[:2] == ["GET /v2/recording-assets", "GET /v2/recording-assets?start=asset000"]


def test_lists_are_ordered_by_time_and_then_by_id(client: Client, ours: Workspace) -> None:
    ours.assets = [
        asset(3, created_at=f"{DAY}10:00:00.25Z"),
        asset(5, created_at=f"{DAY}10:00:00Z"),
        asset(4, created_at=f"{DAY}10:00:00Z"),
        asset(1, created_at=f"{DAY}10:00:00.123456789Z"),
    ]
    assert client.ids("recording-assets") == ["asset003", "asset001", "asset005", "asset004"]


@pytest.mark.parametrize(("requested", "limit"), [(1, 10), (10, 10), (15, 15), (100, 100), (5000, 100)])
def test_the_page_size_has_bounds(client: Client, ours: Workspace, requested: int, limit: int) -> None:
    ours.assets += [asset(number) for number in range(25, 130)]
    page = client.get("recording-assets", limit=requested).json()
    assert (page["limit"], len(page["data"])) == (limit, limit)


def test_new_records_do_not_move_the_cursor(client: Client, ours: Workspace) -> None:
    first = client.get("recording-assets").json()
    ours.assets += [asset(number) for number in range(25, 30)]
    assert client.ids("recording-assets", start=first["last"])[0] == "asset014"


@pytest.mark.parametrize(
    ("path", "query", "found"),
    [
        ("recording-assets", {"room_id": "room1", "limit": 100}, 12),
        ("recording-assets", {"room_id": "room1", "type": "track", "limit": 100}, 1),
        ("recording-assets", {"session_id": "unknown"}, 0),
        ("recording-assets", {"status": "failed"}, 1),
        ("recordings", {}, 2),
        ("recordings", {"status": "failed"}, 1),
        ("recordings", {"room_id": "room1", "session_id": "session1"}, 2),
        ("recordings", {"room_id": "room0"}, 0),
        ("live-streams", {}, 1),
        ("external-streams", {"unknown": "x"}, 1),
    ],
)
def test_lists_are_filtered(client: Client, ours: Workspace, path: str, query: dict[str, str], found: int) -> None:
    ours.assets[3]["type"] = "track"
    ours.assets[2]["status"] = "failed"
    assert len(client.ids(path, **query)) == found


def test_sessions_are_filtered_by_state_and_time(client: Client, ours: Workspace) -> None:
    assert client.ids("sessions") == ["session3"] == client.ids("sessions", active="true")
    assert client.ids("sessions", active="false") == ["session2", "session1"]
    assert client.ids("sessions", active="false", room_id="room1") == ["session1"]
    assert client.ids("sessions", active="false", after=f"{DAY}12:00:00Z") == ["session2"]
    assert client.ids("sessions", active="false", after=f"{DAY}14:00:00+02:00") == ["session2"]
    assert client.ids("sessions", active="false", before=f"{DAY}12:00:00.4Z") == ["session1"]
    assert client.get("sessions", active="false").json()["data"][0]["peers"]["p2"]["id"] == "p2"
    ours.sessions[2]["active"] = False
    assert client.ids("sessions", active="false", start="session3") == ["session2", "session1"]


@pytest.mark.parametrize(
    "query",
    [
        {"active": "maybe"},
        {"after": "yesterday"},
        {"before": "2026-03-02T10:00:00"},
        {"limit": "many"},
        {"start": "unknown"},
    ],
)
def test_invalid_parameters_are_rejected(client: Client, query: dict[str, str]) -> None:
    response = client.get("sessions", **query)
    assert (response.status_code, response.json()["code"]) == (400, 400)


def test_single_records(client: Client, ours: Workspace) -> None:
    assert client.get("rooms/room1").json() == ours.rooms[1]
    assert client.get("sessions/session3").json() == ours.sessions[2]
    assert client.get("recording-assets/asset007").json() == ours.assets[7]
    for path in ("rooms/nobody", "sessions/session9", "recording-assets/asset099", "nothing", "rooms/room1/peers", ""):
        response = client.get(path)
        assert (response.status_code, response.json()["code"]) == (404, 404), path


@pytest.mark.parametrize(
    ("path", "job"), [("recordings", "job1"), ("live-streams", "live1"), ("external-streams", "external1")]
)
def test_a_single_job_includes_its_assets_and_a_listed_job_does_not(
    client: Client, ours: Workspace, path: str, job: str
) -> None:
    for each in ours.assets:
        each["job_id"] = job if each["id"] in ("asset003", "asset005") else "another"
    records = client.get(f"{path}/{job}").json()["recording_assets"]
    assert [each["id"] for each in records] == ["asset005", "asset003"]
    assert records[0].keys() == ours.assets[0].keys() - {"job_id", "room_id", "session_id"}
    assert all("recording_assets" not in each for each in client.get(path).json()["data"])


def test_a_token_gives_access_to_its_own_workspace_only(client: Client) -> None:
    assert client.get("recording-assets/asset007").json()["size"] == 5
    client.token = token(workspace("other"))
    assert client.get("recording-assets/asset007").json()["size"] == 99
    assert client.ids("recording-assets") == ["asset099", "asset007"]
    assert client.get("rooms/room1").status_code == 404


@pytest.mark.parametrize(
    "invalid",
    [
        {"access_key": "unknown"},
        {"secret": SECRET},
        {"type": "app"},
        {"version": 1},
        {"exp": -60},
        {"nbf": 600},
        {"iat": None},
        {"jti": None},
        {"access_key": None},
    ],
    ids=str,
)
def test_an_invalid_token_is_rejected(client: Client, invalid: dict[str, Any]) -> None:
    moments = {name: int(time.time()) + seconds for name, seconds in invalid.items() if name in ("exp", "nbf")}
    client.token = token(**(invalid | moments))
    response = client.get("rooms")
    assert response.status_code == 401
    assert (response.json()["code"], response.json()["message"]) == (401, "Token validation error")


def test_a_request_without_a_token_is_rejected(client: Client, http: requests.Session) -> None:
    for header in ({}, {"Authorization": token()}, {"Authorization": "Bearer rubbish"}):
        assert http.get(f"{client.vendor.endpoint}/rooms", headers=header, timeout=10).status_code == 401
    assert client.vendor.requests == ["GET /v2/rooms"] * 3


def test_a_small_clock_skew_is_accepted(client: Client) -> None:
    ahead = int(time.time()) + 5
    client.token = token(iat=ahead, nbf=ahead)
    assert client.get("rooms").status_code == 200


STORED = "s3://stored/acme/notes für später (1)+a%20b?.csv"


def store(ours: Workspace) -> None:
    ours.assets[3]["path"] = STORED
    ours.contents["asset003"] = b"bytes"


def test_a_signed_url_returns_the_file(client: Client, ours: Workspace, http: requests.Session) -> None:
    store(ours)
    signed = client.get("recording-assets/asset003/presigned-url", presign_duration=60).json()
    assert (signed["id"], signed["path"], signed["expiry"]) == ("asset003", STORED, 60)
    assert SIGNATURE_CANARY in signed["url"]
    assert "/v2/" not in signed["url"]
    assert http.get(signed["url"], timeout=10).content == b"bytes"
    assert len(client.vendor.requests) == len(client.vendor.downloads) == 1
    assert "X-Amz" not in client.vendor.downloads[0]
    for url in (
        signed["url"].replace("Expires=60", "Expires=6000"),
        signed["url"].partition("?")[0],
        signed["url"][:-1],
    ):
        assert http.get(url, timeout=10).status_code == 403
    with_token = http.get(signed["url"], headers={"Authorization": f"Bearer {client.token}"}, timeout=10)
    assert with_token.status_code == 400
    assert "Only one auth mechanism" in with_token.text
    del ours.contents["asset003"]
    assert http.get(signed["url"], timeout=10).status_code == 404


def test_a_signed_url_expires(client: Client, ours: Workspace, http: requests.Session) -> None:
    store(ours)
    url = client.get("recording-assets/asset003/presigned-url", presign_duration=1).json()["url"]
    deadline = time.monotonic() + 3
    while (response := http.get(url, timeout=10)).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert response.status_code == 403
    assert "expired" in response.text


def test_an_asset_that_the_vendor_does_not_store_has_no_signed_url(client: Client, ours: Workspace) -> None:
    store(ours)
    assert client.get("recording-assets/asset004/presigned-url").status_code == 404
    assert client.get("recording-assets/nobody/presigned-url").status_code == 404
    for seconds in ("0", "-1", "soon", "999999999"):
        response = client.get("recording-assets/asset003/presigned-url", presign_duration=seconds)
        assert response.status_code == 400


def test_an_asset_is_processing_until_it_is_complete(client: Client, ours: Workspace) -> None:
    store(ours)
    ours.processing.add("asset003")
    unfinished = client.get("recording-assets/asset003").json()
    assert (unfinished["status"], unfinished["path"], unfinished["size"]) == ("processing", "", 0)
    assert client.get("recording-assets", limit=100).json()["data"][-4] == unfinished
    assert client.ids("recording-assets", status="processing") == ["asset003"]
    assert client.get("recording-assets/asset003/presigned-url").status_code == 404
    client.vendor.complete("asset003")
    assert client.get("recording-assets/asset003").json() == ours.assets[3]
    assert client.get("recording-assets/asset003/presigned-url").status_code == 200
    with pytest.raises(KeyError):
        client.vendor.complete("asset003")


@pytest.mark.parametrize("form", ["header", "text", "bare"])
def test_the_rate_limit_has_the_time_to_wait(client: Client, form: Any) -> None:
    faults = client.vendor.faults
    faults.rate_limit, faults.rate_limit_form, faults.retry_after_s = 2, form, 7
    responses = [client.get("rooms") for _ in range(3)]
    assert [response.status_code for response in responses] == [429, 429, 200]
    message = "rate limit exceeded" + ", retry after 7 seconds" * (form == "text")
    assert responses[0].json() == {"code": 429, "message": message, "details": []}
    assert responses[0].headers.get("Retry-After") == ("7" if form == "header" else None)


@pytest.mark.parametrize("code", [401, 403])
def test_old_tokens_can_be_revoked(client: Client, code: Any) -> None:
    assert client.get("rooms").status_code == 200
    client.vendor.faults.refuse_tokens_before, client.vendor.faults.refuse_with = time.time(), code
    assert [client.get("rooms").status_code for _ in range(2)] == [code, code]
    client.token = token(iat=int(time.time()) - 60)
    assert client.get("rooms").status_code == code
    client.token = token(iat=int(time.time()) - 10)
    assert client.get("rooms").status_code == 200
    client.vendor.faults.refuse_tokens_before = time.time() + 60
    client.token = token()
    assert client.get("rooms").json()["code"] == code


def test_server_errors(client: Client) -> None:
    client.vendor.faults.server_errors = 1
    assert [client.get("rooms").status_code for _ in range(2)] == [503, 200]


def test_slow_responses(client: Client) -> None:
    client.vendor.faults.slow_s = 0.2
    began = time.monotonic()
    client.get("rooms")
    assert time.monotonic() - began >= 0.2


def test_the_server_stops_without_waiting_for_slow_responses(ours: Workspace, http: requests.Session) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        with vendor_server([ours]) as vendor:
            vendor.faults.slow_s = 60
            response = pool.submit(Client(vendor, http).get, "rooms")
            while not vendor.requests:
                time.sleep(0.01)
        assert response.exception() or response.result()
    assert time.monotonic() - began < 10


def test_truncated_responses(client: Client) -> None:
    client.vendor.faults.cut = 1
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get("rooms")
    assert client.get("rooms").status_code == 200


def test_responses_that_are_not_json(client: Client) -> None:
    client.vendor.faults.garbage = 1
    response = client.get("rooms")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/html")
    assert client.get("rooms").json()["data"]


def test_one_request_gets_one_fault(client: Client) -> None:
    faults = client.vendor.faults
    faults.garbage = faults.rate_limit = faults.server_errors = 1
    assert [client.get("rooms").status_code for _ in range(3)] == [503, 429, 200]
    assert (faults.garbage, faults.rate_limit, faults.server_errors) == (0, 0, 0)


def test_faults_can_be_limited_to_paths(client: Client, ours: Workspace, http: requests.Session) -> None:
    store(ours)
    faults = client.vendor.faults
    faults.at, faults.server_errors = "/v2/sessions", 1
    assert [client.get(path).status_code for path in ("rooms", "sessions", "rooms")] == [200, 503, 200]
    url = client.get("recording-assets/asset003/presigned-url").json()["url"]
    faults.at, faults.cut = "/storage/", 1
    assert client.get("rooms").status_code == 200
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        http.get(url, timeout=10)
    assert http.get(url, timeout=10).content == b"bytes"


def test_with_offsets_new_records_shift_the_pages(client: Client, ours: Workspace) -> None:
    client.vendor.faults.offsets = True
    assert client.walk("recording-assets") == [f"asset{number:03}" for number in range(24, -1, -1)]
    first = client.get("recording-assets").json()
    ours.assets += [asset(number) for number in (25, 26)]
    second = client.get("recording-assets", start=first["last"]).json()
    assert [each["id"] for each in second["data"]][:3] == ["asset016", "asset015", "asset014"]
    assert client.get("recording-assets", start="27").json() == {"limit": 10, "data": None, "last": ""}


def test_records_can_be_added_between_two_pages(client: Client, ours: Workspace) -> None:
    pages = []

    def add(page: str) -> None:
        pages.append(page)
        ours.assets.append(asset(24 + len(pages)))

    client.vendor.faults.on_page = add
    assert client.walk("recording-assets", limit=20) == [f"asset{number:03}" for number in range(24, -1, -1)]
    client.get("rooms/room1")
    assert pages == [
        f"/v2/recording-assets?limit=20{start}" for start in ("", "&start=asset005", "&start=asset000")
    ]  # fmt: skip


def test_errors_in_the_server_are_raised(ours: Workspace, http: requests.Session) -> None:
    def fail(_: str) -> None:
        raise LookupError("an error of the test")

    server = ExitStack()
    vendor = server.enter_context(vendor_server([ours]))
    vendor.faults.on_page = fail
    assert Client(vendor, http).get("rooms").status_code == 500
    with pytest.raises(LookupError, match="an error"):
        server.close()


def test_unknown_fields_and_statuses(client: Client, ours: Workspace) -> None:
    client.vendor.faults.extra_fields = True
    records = client.get("recording-assets", limit=100).json()["data"]
    assert all(each.keys() > ours.assets[0].keys() for each in records)
    assert [each["status"] for each in records] == ["completed"] * 24 + ["archiving"]
    job = client.get("recordings/job1").json()
    assert (job["status"], job["recording_assets"][-1]["status"]) == ("archiving", "archiving")
    assert ours == acme()


def test_missing_fields_and_numbers_as_strings(client: Client, ours: Workspace) -> None:
    client.vendor.faults.missing_fields = True
    ours.assets[1]["metadata"] = {"resolution": {"width": 1280}}
    assert client.get("recording-assets/asset000").json().keys() == {
        "id", "job_id", "room_id", "session_id", "type", "path", "status", "created_at"
    }  # fmt: skip
    other = client.get("recording-assets/asset001").json()
    assert (other["size"], other["duration"], other["thumbnails"]) == ("5", "0", None)
    assert other["metadata"] == {"resolution": {"width": "1280"}}
    second, first = client.get("sessions", active="false").json()["data"]
    assert isinstance(second["peers"], list)
    assert isinstance(first["peers"], dict)
    assert "updated_at" not in first
    assert second["active"] is False


def test_signed_urls_that_have_already_expired(client: Client, ours: Workspace, http: requests.Session) -> None:
    store(ours)
    client.vendor.faults.expired_urls = 1
    signed = [client.get("recording-assets/asset003/presigned-url").json()["url"] for _ in range(2)]
    assert [http.get(url, timeout=10).status_code for url in signed] == [403, 200]


def test_parallel_clients_with_persistent_connections(vendor: Vendor) -> None:
    def walk_all(_: int) -> list[str]:
        with requests.Session() as http:
            mine = Client(vendor, http)
            return mine.walk("recording-assets") + mine.walk("rooms")

    with ThreadPoolExecutor(8) as pool:
        responses = [*pool.map(walk_all, range(16))]
    assert all(response == responses[0] for response in responses)
    assert len(vendor.requests) == 16 * (4 + 2)
