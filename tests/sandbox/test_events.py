"""Webhooks of the invented dataset: they say what its API says, in the vendor's ways, and are posted as it posts them."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

import pytest

from roomledger.hundredms import records
from roomledger.hundredms.events import Event, NamedAsset
from roomledger.hundredms.webhooks import event
from roomledger.ledger.database import Database
from roomledger.ledger.vendor_events import Heard, hear
from roomledger.ledger.vendor_records import Said, tell
from roomledger.settings import Source
from roomledger.webhook.authentication import Trust, is_signed, knows
from sandbox.dataset import CANARIES, MINIMUM_SESSIONS, Dataset, Workspace, generate
from sandbox.dataset.webhook_events import webhook_events
from sandbox.dataset.workspace import (
    PLAYBACK_CANARY,
    SIGNATURE_CANARY,
    STREAM_KEY_CANARY,
    TOKEN_CANARY,
    Record,
)
from sandbox.hundredms_api.webhooks import PAUSES_S, Poster, post
from tests.worlds import ask

ENVELOPE = {"version", "id", "account_id", "app_id", "timestamp", "type", "data"}
PLACE = {"room_id", "session_id"}
BEGUN = PLACE | {"template_id", "session_started_at"}
JOINED = BEGUN | {
    "room_name", "peer_id", "role", "type", "user_id", "user_name", "user_data", "joined_at",
}  # fmt: skip
FILE = {"recording_path", "recording_presigned_url"}
CHAT = {"chat_recording_path", "chat_recording_presigned_url"}
LIVE = BEGUN | {"beam_id", "metadata_id", "metadata_timestamp", "max_width", "max_height", "meeting_url"}
BEAM = LIVE | {"peer_id", "rtmp"}
LAYERED = {"recording_single_file_per_layer_enabled", "recording_vod_playlist_enabled"}
TRACK = PLACE | {"peer_id", "stream_id", "track_id", "track_type"}
TRANSCRIBED = PLACE | {
    "account_id", "app_id", "metadata_id", "metadata_timestamp", "recording_id", "room_name", "transcription_id",
    "duration",
}  # fmt: skip

SHAPES = {
    "session.open.success": BEGUN | {"room_name"},
    "session.close.success": BEGUN | {"room_name", "session_duration", "session_stopped_at"},
    "peer.join.success": JOINED,
    "peer.leave.success": JOINED | {"left_at", "duration", "reason", "message"},
    "beam.started.success": BEAM | {"job_id", "recording_enabled", "start_delay"},
    "beam.stopped.success": BEAM | {"job_id", "recording_enabled", "duration", "reason"},
    "beam.failure": BEAM | {"job_id", "recording_enabled", "duration", "error_code", "error_type", "error_message"},
    "beam.recording.success": BEAM | FILE | CHAT | {"recording_id", "started_at", "stopped_at"},
    "hls.started.success": LIVE | LAYERED | {"job_id", "peer_id", "start_delay", "started_at", "url"},
    "hls.stopped.success": LIVE | LAYERED | {"job_id", "peer_id", "duration", "reason", "started_at", "stopped_at"},
    "hls.recording.success": LIVE
    | CHAT
    | {"recording_id", "duration", "started_at", "stopped_at", "recording_created_at"}
    | {"hls_vod_recording_path", "hls_vod_recording_presigned_url", "hls_vod_recording_size"}
    | {"recording_single_files", "recording_thumbnails"},
    "recording.success": BEGUN | FILE | CHAT | {"room_name", "session_stopped_at"},
    "track.recording.started.success": TRACK,
    "track.recording.success": TRACK | {"recording_id", "recording_path", "size"},
    "stream.recording.success": PLACE | FILE | {"peer_id", "stream_id", "user_id", "recording_id", "size", "duration"},
    "transcription.started.success": TRANSCRIBED,
    "transcription.success": TRANSCRIBED,
}
"""What the data of an event have, by its type."""
MORE = {
    "beam.recording.success": ({"size", "duration", "created_at", "location"}, set()),
    "recording.success": ({"size", "duration", "location", "URL"}, set()),
    "track.recording.success": ({"duration", "recording_presigned_url"}, {"error_message"}),
    "stream.recording.success": ({"stream_type"}, {"type"}),
}
"""What they have on top: either the one or the other."""
OUTCOMES = {"open": "started", "join": "started", "started": "started", "recording": "succeeded"}
OUTCOMES |= {"close": "ended", "leave": "ended", "stopped": "ended", "transcription": "succeeded", "beam": "failed"}
"""By the word before the last of a type."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(sessions=MINIMUM_SESSIONS)


@pytest.fixture(scope="module", params=["small", "larger"])
def any_dataset(request: pytest.FixtureRequest, dataset: Dataset) -> Dataset:
    return dataset if request.param == "small" else generate(sessions=60)


def told(workspace: Workspace) -> list[Record]:
    return [one for session in workspace.sessions for one in webhook_events(workspace, session["id"])]


def everything(dataset: Dataset) -> list[Record]:
    return [one for workspace in dataset.workspaces for one in told(workspace)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def api_ids(workspace: Workspace) -> set[str]:
    lists = (workspace.rooms, workspace.sessions, [*workspace.jobs()], workspace.assets)
    return {record["id"] for each in lists for record in each}


def named(workspace: Workspace) -> Iterator[tuple[Event, NamedAsset]]:
    for one in told(workspace):
        row, assets = event(one)
        yield from ((row, asset) for asset in assets)


# -- what they say


def test_events_have_the_fields_of_their_type(any_dataset: Dataset) -> None:
    found: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for one in everything(any_dataset):
        assert one.keys() == ENVELOPE
        keys = {name for name in one["data"] if not name.startswith(("transcript_", "summary_"))}
        found[one["type"]].add(frozenset(keys - SHAPES[one["type"]]))
        assert keys >= SHAPES[one["type"]], one["type"]
    assert found.keys() == SHAPES.keys()
    for type_, more in found.items():
        assert more == {frozenset(each) for each in MORE.get(type_, (set(),))}, type_


def test_every_event_is_understood(any_dataset: Dataset) -> None:
    for one in everything(any_dataset):
        row, _ = event(one)
        vain = one["type"] == "track.recording.success" and "error_message" in one["data"]
        assert row.outcome == ("failed" if vain else OUTCOMES[one["type"].split(".")[-2]]), one["type"]
        assert row.occurred_at
        assert all((row.account_id, row.app_id, row.room_id, row.session_id))
        assert json.loads(json.dumps(one)) == one


def test_they_are_the_same_at_every_call(dataset: Dataset) -> None:
    workspace = dataset.workspaces[0]
    first = json.dumps(told(workspace))
    for one in told(workspace):
        one["data"].clear()
    assert json.dumps(told(workspace)) == first == json.dumps(told(deepcopy(workspace)))


def test_ids_of_events_are_unique(any_dataset: Dataset) -> None:
    ids = [one["id"] for one in everything(any_dataset)]
    assert len({*ids}) == len(ids)
    assert all(str(UUID(event_id)) == event_id for event_id in ids)


def test_ids_that_only_webhooks_have_are_not_those_of_the_api(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        jobs: defaultdict[str, set[str]] = defaultdict(set)
        names = ("beam_id", "job_id", "recording_id", "transcription_id", "app_id")
        for one in told(workspace):
            for name in names:
                if name in one["data"]:
                    jobs[name].add(one["data"][name])
        assert {*jobs} == {*names}
        ids = [each for found in jobs.values() for each in found]
        assert len({*ids}) == len(ids)
        assert not api_ids(workspace) & {*ids}
        recorders = [job for job in workspace.jobs() if "room-composite-legacy" not in job.get("asset_types", ())]
        assert len(jobs["beam_id"]) == len(jobs["job_id"]) == len(recorders)


def test_they_come_in_the_order_in_which_things_happen(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        for session in workspace.sessions:
            happened = webhook_events(workspace, session["id"])
            assert all(moment(a["timestamp"]) <= moment(b["timestamp"]) for a, b in pairwise(happened))
            assert {one["data"]["session_id"] for one in happened} == {session["id"]}
            of_peers = [one["type"] for one in happened if one["type"].startswith(("session", "peer"))]
            assert of_peers[0] == "session.open.success" == happened[0]["type"]
            assert of_peers[-1] == "session.close.success"
            assert len(of_peers) == 2 + 2 * len(session["peers"])
            for name, steps in STEPS.items():
                places: defaultdict[str, list[str]] = defaultdict(list)
                for one in happened:
                    if name in one["data"] and one["type"] in steps:
                        places[one["data"][name]].append(one["type"])
                for types in places.values():
                    assert types == sorted(types, key=steps.index)


STEPS = {
    "peer_id": ["peer.join.success", "beam.started.success", "beam.stopped.success", "peer.leave.success"],
    "beam_id": ["beam.started.success", "beam.stopped.success", "beam.failure", "beam.recording.success"],
    "job_id": ["hls.started.success", "hls.stopped.success"],
    "track_id": ["track.recording.started.success", "track.recording.success"],
    "transcription_id": ["transcription.started.success", "transcription.success"],
}
"""What comes after what about the same obj."""


def test_times_are_those_of_the_records(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        sessions = {session["id"]: session for session in workspace.sessions}
        started = {(job["session_id"], moment(job["started_at"])): job for job in workspace.jobs()}
        for one in told(workspace):
            row, _ = event(one)
            session = sessions[one["data"]["session_id"]]
            if row.session_started_at:
                assert row.session_started_at == moment(session["created_at"])
            if row.started_at:
                job = started[session["id"], row.started_at]
                assert row.stopped_at in (moment(job["stopped_at"]), None)
            if "beam_id" in one["data"] and "started" in one["type"]:
                assert any(
                    timedelta() <= at - moment(one["timestamp"]) < timedelta(seconds=1)
                    for of, at in started
                    if of == session["id"]
                )


def test_every_complete_asset_is_named_once_and_nothing_else(any_dataset: Dataset) -> None:
    for workspace in any_dataset.workspaces:
        complete = [asset["path"] for asset in workspace.assets if asset["status"] == "completed"]
        assert all(complete)
        made = [asset.uri for _, asset in named(workspace) if asset.status == "completed" and asset.uri]
        assert Counter(made) == Counter(complete)
        ids = {asset["id"] for asset in workspace.assets}
        for _, asset in named(workspace):
            assert asset.uri in complete or asset.uri is None
            assert asset.asset_id in ids or asset.asset_id is None


TOLD_OF = {
    "room-composite": {"size_bytes", "duration_s", "created_at", "width", "height"},
    "room-composite-legacy": {"size_bytes", "duration_s"},
    "room-vod": {"size_bytes", "duration_s", "created_at", "width", "height", "thumbnails"},
    "track": {"size_bytes", "duration_s", "peer_id", "stream_id", "track_id", "track_type"},
    "stream": {"size_bytes", "duration_s", "peer_id", "stream_id", "stream_type"},
    "chat": set(),
    "transcript": {"asset_id", "duration_s", "output_mode"},
    "summary": {"asset_id", "duration_s", "output_mode"},
}
"""What webhooks tell of an asset, by its type."""


def test_webhooks_and_api_say_the_same_of_an_asset(any_dataset: Dataset) -> None:
    types = set()
    for workspace in any_dataset.workspaces:
        said = {asset["path"]: records.asset(asset) for asset in workspace.assets if asset["status"] == "completed"}
        for _, asset in named(workspace):
            if asset.uri and asset.status == "completed":
                api = said[asset.uri]
                shared = {name for name in asset._fields if name in api._fields and getattr(asset, name) is not None}
                shared.discard("job_id")
                assert {name: getattr(asset, name) for name in shared} == {name: getattr(api, name) for name in shared}
                assert shared >= TOLD_OF[asset.asset_type] | {"asset_type", "room_id", "session_id", "uri", "status"}
                types.add(asset.asset_type)
    assert types == TOLD_OF.keys()


def test_a_transcription_says_before_what_it_will_make(dataset: Dataset) -> None:
    asked: dict[str | None, set[str | None]] = defaultdict(set)
    made: dict[str | None, set[str | None]] = defaultdict(set)
    for workspace in dataset.workspaces:
        for row, asset in named(workspace):
            if row.transcription_id:
                assert (asset.status == "processing") == (row.outcome == "started") == (asset.uri is None)
                (asked if row.outcome == "started" else made)[row.transcription_id].add(asset.asset_id)
    assert asked == made
    assert {len(ids) for ids in made.values()} >= {1, 4}  # an srt more than there is place for in one event


def test_recorders_are_those_that_joined_for_their_job(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        joined = {peer_id: peer for session in workspace.sessions for peer_id, peer in session["peers"].items()}
        starts: Counter[str] = Counter()
        for one in told(workspace):
            if one["type"] in ("beam.started.success", "hls.started.success"):
                peer = joined[one["data"]["peer_id"]]
                assert peer["role"] == "__internal_recorder"
                waited = moment(one["timestamp"]) - moment(peer["joined_at"])
                assert timedelta(seconds=1) < waited <= timedelta(seconds=2)
                starts[peer["id"]] += 1
        recorders = [peer for peer in joined.values() if peer["role"] == "__internal_recorder"]
        assert starts == Counter(peer["id"] for peer in recorders)


def test_what_was_planned(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        planned = Counter(
            (one["type"].partition(".")[0], event(one)[0].planned_types)
            for one in told(workspace)
            if one["type"].endswith("stopped.success")
        )
        assert planned == {
            ("beam", '["room-composite"]'): sum(
                "room-composite-legacy" not in job.get("asset_types", ())
                for job in (*workspace.recordings, *workspace.external_streams)
            ),
            ("hls", '["room-vod","room-composite"]'): len(workspace.live_streams),
        }


def test_failed_jobs_say_so(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        failed = [job for job in workspace.jobs() if job["status"] == "failed"]
        rows = [event(one)[0] for one in told(workspace) if one["type"] == "beam.failure"]
        assert [(row.error_type, row.error_message) for row in rows] == [("UPLOAD_ERROR", "upload failed")] * len(rows)
        assert Counter(row.session_id for row in rows) == Counter(job["session_id"] for job in failed)


def test_any_recorder_can_fail() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    for job in workspace.jobs():
        job["status"] = "failed"
    types = Counter(one["type"] for one in told(workspace))
    legacy = sum("room-composite-legacy" in job["asset_types"] for job in workspace.recordings)
    assert types["recording.failed"] == legacy
    assert types["hls.failure"] == len(workspace.live_streams)
    assert types["beam.failure"] == len([*workspace.jobs()]) - legacy - len(workspace.live_streams)
    failed = [one for one in told(workspace) if one["type"] == "recording.failed"]
    assert {one["version"] for one in failed} == {"1.0"}
    rows = [event(one) for one in failed]
    assert {(row.outcome, row.error_message, asset.status) for row, [asset] in rows} == {
        ("failed", "INTERNAL_ERROR", "failed")
    }


# -- how they say it


def of_type(dataset: Dataset, type_: str) -> list[Record]:
    return [one["data"] for one in everything(dataset) if one["type"] == type_]


def test_a_track_has_its_duration_as_a_string(dataset: Dataset) -> None:
    durations = {type(data["duration"]) for data in of_type(dataset, "track.recording.success") if "duration" in data}
    assert durations == {str}


def test_a_track_that_failed_says_success_and_is_made_later(dataset: Dataset) -> None:
    tracks = of_type(dataset, "track.recording.success")
    failed = {data["recording_path"]: place for place, data in enumerate(tracks) if "error_message" in data}
    made = {data["recording_path"]: place for place, data in enumerate(tracks) if "error_message" not in data}
    assert 0 < len(failed) < len(made)
    assert all(place < made[path] for path, place in failed.items())


def test_the_kind_of_a_stream_has_two_names(dataset: Dataset) -> None:
    names = Counter("type" in data for data in of_type(dataset, "stream.recording.success"))
    assert names[True] == names[False] > 0


def test_a_location_is_on_the_web_or_in_a_bucket(dataset: Dataset) -> None:
    for data in of_type(dataset, "beam.recording.success"):
        assert data.get("location", "https://").startswith("https://")
    legacy = [data for data in of_type(dataset, "recording.success") if data["recording_path"]]
    assert {data["location"] == data["recording_path"] for data in legacy} == {True}


def test_the_recorder_of_old_speaks_an_older_version(dataset: Dataset) -> None:
    versions = {(one["type"], one["version"]) for one in everything(dataset)}
    assert {type_ for type_, version in versions if version == "1.0"} == {"recording.success"}
    assert {version for _, version in versions} == {"1.0", "2.0"}
    assert all("beam_id" not in data and "recording_id" not in data for data in of_type(dataset, "recording.success"))


def test_times_have_up_to_nine_digits(dataset: Dataset) -> None:
    times = [data["session_started_at"] for data in of_type(dataset, "session.open.success")]
    assert {len(time.partition(".")[2]) for time in times} == {len("123456789Z")}
    assert {len(one["timestamp"]) for one in everything(dataset)} == {len("2026-03-02T10:00:00Z")}


def test_an_address_of_no_file_is_an_empty_text(dataset: Dataset) -> None:
    recorded = of_type(dataset, "beam.recording.success") + of_type(dataset, "recording.success")
    for name in ("recording", "chat_recording"):
        empty = {(data[f"{name}_path"] == "", data[f"{name}_presigned_url"] == "") for data in recorded}
        assert empty == {(True, True), (False, False)}


def test_they_carry_secrets_where_the_vendor_has_them(dataset: Dataset) -> None:
    for one in everything(dataset):
        data = one["data"]
        assert TOKEN_CANARY in data.get("meeting_url", TOKEN_CANARY)
        assert PLAYBACK_CANARY in data.get("url", PLAYBACK_CANARY)
        assert SIGNATURE_CANARY in data.get("URL", SIGNATURE_CANARY)
        signed = [url for name, url in data.items() if name.endswith("_presigned_url")]
        signed += [each["recording_presigned_url"] for each in data.get("recording_single_files", ())]
        signed += [each["url"] for each in data.get("recording_thumbnails", ())]
        assert all(SIGNATURE_CANARY in url for url in signed if url)
    keys = [each["url"] for data in of_type(dataset, "beam.started.success") for each in data["rtmp"]]
    assert len(keys) == sum(len(job["rtmp_urls"]) for one in dataset.workspaces for job in one.external_streams) > 0
    assert all(STREAM_KEY_CANARY in url for url in keys)
    text = json.dumps(everything(dataset))
    assert all(canary in text for canary in CANARIES)


def test_no_secret_is_left_once_they_are_read(dataset: Dataset) -> None:
    rows = repr([event(one) for one in everything(dataset)])
    assert not [canary for canary in CANARIES if canary in rows]


# -- what they cannot say


def test_a_session_of_another_workspace_is_an_error(dataset: Dataset) -> None:
    ours, other = dataset.workspaces
    with pytest.raises(KeyError):
        webhook_events(ours, other.sessions[0]["id"])


def test_several_files_where_an_event_has_place_for_one_are_an_error() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    chat = next(asset for asset in workspace.assets if asset["type"] == "chat")
    workspace.assets.append(chat | {"id": "another", "path": "s3://acme/another.csv"})
    with pytest.raises(ValueError, match="several assets of type chat"):
        webhook_events(workspace, chat["session_id"])


def test_a_recorder_that_was_not_among_the_peers_has_no_peer_id() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    for session in workspace.sessions:
        session["peers"] = {key: peer for key, peer in session["peers"].items() if peer["name"] != "Beam"}
    assert {one["data"]["peer_id"] for one in told(workspace) if one["type"].endswith("stopped.success")} == {""}


# -- in a warehouse, beside the API

NOW = datetime(2026, 3, 20, tzinfo=UTC)


def source(workspace: Workspace) -> Source:
    return Source(name=workspace.source, customer=workspace.customer, url=workspace.url)


def said(workspace: Workspace) -> Iterator[Said]:
    yield from (records.room(room) for room in workspace.rooms)
    for session in workspace.sessions:
        row, peers = records.session(session)
        yield row
        yield from peers
    kinds = {"recording": workspace.recordings, "live-stream": workspace.live_streams}
    for kind, jobs in (kinds | {"external-stream": workspace.external_streams}).items():
        yield from (records.recording(job, kind)[0] for job in jobs)
    yield from (records.asset(asset) for asset in workspace.assets)


def hear_all(database: Database, dataset: Dataset) -> int:
    heard = [
        Heard(source(workspace), *event(one), received_at=NOW)
        for workspace in dataset.workspaces
        for one in told(workspace)
    ]
    with database.begin() as tx:
        return hear(tx, database, heard, now=NOW).events


def tell_all(database: Database, dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        with database.begin() as tx:
            tell(tx, database, source(workspace), said(workspace), now=NOW)


@pytest.fixture(scope="module", params=["api first", "webhooks first"])
def both(
    request: pytest.FixtureRequest,
    dataset: Dataset,
    ready_duckdb: Callable[[Path], Database],
    tmp_path_factory: pytest.TempPathFactory,
) -> Database:
    """A warehouse in which the dataset was told and heard."""
    database = ready_duckdb(tmp_path_factory.mktemp("both"))
    if request.param == "api first":
        tell_all(database, dataset)
    assert hear_all(database, dataset) == len(everything(dataset))
    if request.param == "webhooks first":
        tell_all(database, dataset)
    return database


def test_next_to_the_api_they_add_no_session_stay_or_asset(both: Database, dataset: Dataset) -> None:
    counted = {view: ask(both, f"SELECT count(*) FROM {view}")[0][0] for view in VIEWS}
    assert counted == {view: dataset.expected.rows[table] for view, table in VIEWS.items()}
    columns = "session_id, peer_id, user_id, name, role, joined_at, left_at, is_recorder"
    for heard, api, what in (
        ("event_sessions", "session_records", "session_id, customer, source, room_id, started_at, ended_at"),
        ("event_peers", "peer_records", f"customer, source, {columns}"),
    ):
        query = f"SELECT {what} FROM {{}} ORDER BY ALL"
        assert ask(both, query.format(heard)) == ask(both, query.format(api)), heard


VIEWS = {"sessions": "sessions", "peers": "peers", "recording_assets": "asset_records"}
"""Views that hold what API and webhooks tell of, and the table of the API that has as many rows."""


def test_a_recorder_is_the_job_that_names_its_files(both: Database, dataset: Dataset) -> None:
    expected: dict[str, str] = {}
    jobs, without = set(), set()
    for workspace in dataset.workspaces:
        job_of = {asset["path"]: asset["job_id"] for asset in workspace.assets}
        for one in told(workspace):
            if one["type"] in ("beam.recording.success", "hls.recording.success", "recording.success"):
                _, assets = event(one)
                [job] = {job_of[asset.uri] for asset in assets if asset.uri}
                expected[one["data"].get("beam_id") or one["id"]] = job
        jobs |= {job["id"] for job in workspace.jobs()}
        without |= {one["data"]["beam_id"] for one in told(workspace) if "beam_id" in one["data"]}
    without -= expected.keys()
    assert 0 < len(without) < len(expected)
    found = dict(ask(both, "SELECT recorder_id, api_job_id FROM event_recordings"))
    assert found == expected | dict.fromkeys(without)
    assert len({*expected.values()}) == len(expected)
    # What made nothing that the API names cannot be told from another job: it stands for itself.
    assert ask(both, "SELECT count(*), count(job_id) FROM recordings") == [
        (len(jobs) + len(without), len(jobs) + len(without))
    ]
    assert {job for (job,) in ask(both, "SELECT job_id FROM recordings")} >= jobs
    assert not (jobs - {*expected.values()}) & {asset["job_id"] for asset in recorded(dataset)}


def recorded(dataset: Dataset) -> Iterator[Record]:
    """Assets that the event of a recording names."""
    for workspace in dataset.workspaces:
        for asset in workspace.assets:
            if asset["status"] == "completed" and asset["type"] not in ("track", "stream", "transcript", "summary"):
                yield asset


# -- posting

Request = tuple[float, dict[str, bytes], bytes]
EVENT = {"id": "e1", "type": "peer.join.success", "data": {"user_name": "Łucja 🦊"}}
HANG_UP = 0


@dataclass
class Endpoint:
    """A server that answers one status after the other, and then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Events that always get 503."""
    requests: list[Request] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [json.loads(body)["id"] for _, _, body in self.requests]


@contextmanager
def serve() -> Iterator[Endpoint]:
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value.encode("latin-1") for name, value in self.headers.items()}
            endpoint.requests.append((time.monotonic(), headers, body))
            status = endpoint.answers.pop(0) if endpoint.answers else 200
            if json.loads(body)["id"] in endpoint.refused:
                status = 503
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        endpoint.url = f"http://127.0.0.1:{server.server_port}/webhooks/acme"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield endpoint
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve() as endpoint:
        yield endpoint


def test_an_event_comes_with_its_secret_and_signature(endpoint: Endpoint) -> None:
    assert post(EVENT, endpoint.url, "X-Acme", "geheim-ä", "signing-ä")
    [(_, headers, body)] = endpoint.requests
    assert json.loads(body) == EVENT
    assert headers["content-type"] == b"application/json"
    trust = Trust("X-Acme", ("geheim-ä".encode(),), ("signing-ä".encode(),))
    assert knows(trust, headers["x-acme"])
    assert is_signed(trust, body, headers["x-100ms-signature"])


def test_without_a_signing_secret_it_has_no_signature(endpoint: Endpoint) -> None:
    assert post(EVENT, endpoint.url, "X-Acme", "secret")
    assert "x-100ms-signature" not in endpoint.requests[0][1]


@pytest.mark.parametrize(
    ("answers", "received", "attempts"),
    [
        ([200], True, 1),
        ([500, 200], True, 2),
        ([201, 302, 204, 200], True, 4),
        ([HANG_UP, 401, 200], True, 3),
        ([503, 503, 503, 503, 200], False, 4),
        ([HANG_UP] * 4, False, 4),
    ],
)
def test_only_200_counts_and_three_more_attempts_are_made(
    endpoint: Endpoint, answers: list[int], received: bool, attempts: int
) -> None:
    endpoint.answers = answers
    assert post(EVENT, endpoint.url, "X-Acme", "secret", scale=0.001) is received
    assert endpoint.ids() == ["e1"] * attempts


def test_the_pauses_are_those_of_the_vendor(endpoint: Endpoint) -> None:
    assert PAUSES_S == (1, 3, 10)
    endpoint.answers = [500] * 4
    assert not post(EVENT, endpoint.url, "X-Acme", "secret", scale=0.05)
    times = [at for at, _, _ in endpoint.requests]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(0.05 * pause <= took < 0.05 * pause + 2 for pause, took in zip(PAUSES_S, pauses, strict=True))


def test_when_nobody_is_there_it_is_given_up() -> None:
    with serve() as endpoint:
        url = endpoint.url
    began = time.monotonic()
    assert not post(EVENT, url, "X-Acme", "secret", scale=0.01)
    assert time.monotonic() - began >= 0.14


def numbered(count: int) -> list[Record]:
    return [EVENT | {"id": f"e{number}"} for number in range(count)]


def poster(endpoint: Endpoint, **switches: Any) -> Poster:
    return Poster(endpoint.url, "X-Acme", "secret", "signing", scale=0.001, **switches)


def ids(several: Sequence[Record]) -> list[str]:
    return [one["id"] for one in several]


def test_each_event_is_posted_once_and_in_order(endpoint: Endpoint) -> None:
    posted = poster(endpoint, threads=1).post(numbered(50))
    assert endpoint.ids() == ids(numbered(50)) == posted.received
    assert posted.given_up == posted.dropped == []


def test_several_threads_post_each_event_once(endpoint: Endpoint) -> None:
    posted = poster(endpoint).post(numbered(100))
    assert sorted(endpoint.ids()) == sorted(ids(numbered(100))) == sorted(posted.received)


def test_a_share_is_dropped(endpoint: Endpoint) -> None:
    posted = poster(endpoint, drop=0.3, threads=1).post(numbered(50))
    assert (len(posted.dropped), len(posted.received)) == (15, 35)
    assert endpoint.ids() == posted.received
    assert sorted(posted.received + posted.dropped) == sorted(ids(numbered(50)))
    assert posted.dropped != ids(numbered(15))


def test_a_share_is_doubled(endpoint: Endpoint) -> None:
    posted = poster(endpoint, double=0.2).post(numbered(50))
    assert Counter(Counter(endpoint.ids()).values()) == {1: 40, 2: 10}
    assert Counter(posted.received) == Counter(endpoint.ids())


@pytest.mark.parametrize("switches", [{"shuffle": True, "threads": 1}, {"delay_s": 0.2}])
def test_the_order_can_be_any(endpoint: Endpoint, switches: dict[str, Any]) -> None:
    posted = poster(endpoint, **switches).post(numbered(30))
    assert sorted(endpoint.ids()) == sorted(ids(numbered(30))) == sorted(posted.received)
    assert endpoint.ids() != ids(numbered(30))


def test_a_delay_is_no_longer_than_it_is_said_to_be(endpoint: Endpoint) -> None:
    began = time.monotonic()
    poster(endpoint, delay_s=0.3, threads=20).post(numbered(20))
    assert 0.2 < max(at for at, _, _ in endpoint.requests) - began < 3


def test_what_is_drawn_depends_on_the_seed_alone(endpoint: Endpoint) -> None:
    def drawn(seed: int) -> tuple[list[str], list[str]]:
        posted = poster(endpoint, drop=0.2, double=0.2, shuffle=True, threads=1, seed=seed).post(numbered(30))
        return posted.received, posted.dropped

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_what_was_given_up_is_counted(endpoint: Endpoint) -> None:
    endpoint.refused = {"e3", "e7"}
    posted = poster(endpoint, double=1).post(numbered(10))
    assert posted.given_up == ["e3", "e3", "e7", "e7"]
    assert len(posted.received) == 16
    assert not {*posted.received} & endpoint.refused
    assert Counter(endpoint.ids())["e3"] == 2 * (1 + len(PAUSES_S))


def test_secrets_are_not_shown(endpoint: Endpoint) -> None:
    shown = repr(Poster(endpoint.url, "X-Acme", "very-secret", "signing-secret"))
    assert "secret" not in shown
    assert "X-Acme" in shown


def test_a_whole_session_is_posted(endpoint: Endpoint) -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    happened = webhook_events(workspace, workspace.sessions[0]["id"])
    poster(endpoint, shuffle=True, double=0.5).post(happened)
    came = {json.loads(body)["id"]: json.loads(body) for _, _, body in endpoint.requests}
    assert came == {one["id"]: one for one in happened}
