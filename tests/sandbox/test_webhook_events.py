"""Webhook events of the dataset: they follow the documentation and agree with the API records."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from roomledger.hundredms import records
from roomledger.hundredms.events import Event, NamedAsset
from sandbox.dataset import CANARIES, MINIMUM_SESSIONS, Dataset, Workspace, generate
from sandbox.dataset.webhook_events import webhook_events
from sandbox.dataset.workspace import (
    PLAYBACK_CANARY,
    SIGNATURE_CANARY,
    STREAM_KEY_CANARY,
    TOKEN_CANARY,
    Record,
)
from tests.hundredms.test_webhooks import decode

ENVELOPE = {"version", "id", "account_id", "app_id", "timestamp", "type", "data"}
IDS = {"room_id", "session_id"}
STARTED = IDS | {"template_id", "session_started_at"}
JOINED = STARTED | {
    "room_name", "peer_id", "role", "type", "user_id", "user_name", "user_data", "joined_at",
}  # fmt: skip
FILE = {"recording_path", "recording_presigned_url"}
CHAT = {"chat_recording_path", "chat_recording_presigned_url"}
LIVE = STARTED | {"beam_id", "metadata_id", "metadata_timestamp", "max_width", "max_height", "meeting_url"}
BEAM = LIVE | {"peer_id", "rtmp"}
LAYERED = {"recording_single_file_per_layer_enabled", "recording_vod_playlist_enabled"}
TRACK = IDS | {"peer_id", "stream_id", "track_id", "track_type"}
TRANSCRIBED = IDS | {
    "account_id", "app_id", "metadata_id", "metadata_timestamp", "recording_id", "room_name", "transcription_id",
    "duration",
}  # fmt: skip

SHAPES = {
    "session.open.success": STARTED | {"room_name"},
    "session.close.success": STARTED | {"room_name", "session_duration", "session_stopped_at"},
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
    "recording.success": STARTED | FILE | CHAT | {"room_name", "session_stopped_at"},
    "track.recording.started.success": TRACK,
    "track.recording.success": TRACK | {"recording_id", "recording_path", "size"},
    "stream.recording.success": IDS | FILE | {"peer_id", "stream_id", "user_id", "recording_id", "size", "duration"},
    "transcription.started.success": TRANSCRIBED,
    "transcription.success": TRANSCRIBED,
}
"""Fields in the `data` of an event, by type."""
EXTRA = {
    "beam.recording.success": ({"size", "duration", "created_at", "location"}, set()),
    "recording.success": ({"size", "duration", "location", "URL"}, set()),
    "track.recording.success": ({"duration", "recording_presigned_url"}, {"error_message"}),
    "stream.recording.success": ({"stream_type"}, {"type"}),
}
"""Additional fields: one of these sets."""
OUTCOMES = {"open": "started", "join": "started", "started": "started", "recording": "succeeded"}
OUTCOMES |= {"close": "ended", "leave": "ended", "stopped": "ended", "transcription": "succeeded", "beam": "failed"}
"""Outcome by the second last word of a type."""


@pytest.fixture(scope="module", params=["small", "larger"])
def any_dataset(request: pytest.FixtureRequest, small: Dataset) -> Dataset:
    return small if request.param == "small" else generate(sessions=60)


def events_of(workspace: Workspace) -> list[Record]:
    return [one for session in workspace.sessions for one in webhook_events(workspace, session["id"])]


def all_events(dataset: Dataset) -> list[Record]:
    return [one for workspace in dataset.workspaces for one in events_of(workspace)]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def api_ids(workspace: Workspace) -> set[str]:
    lists = (workspace.rooms, workspace.sessions, [*workspace.jobs()], workspace.assets)
    return {record["id"] for each in lists for record in each}


def reported_assets(workspace: Workspace) -> Iterator[tuple[Event, NamedAsset]]:
    for one in events_of(workspace):
        row, assets = decode(one)
        yield from ((row, asset) for asset in assets)


def test_events_have_the_fields_of_their_type(any_dataset: Dataset) -> None:
    found: defaultdict[str, set[frozenset[str]]] = defaultdict(set)
    for one in all_events(any_dataset):
        assert one.keys() == ENVELOPE
        keys = {name for name in one["data"] if not name.startswith(("transcript_", "summary_"))}
        found[one["type"]].add(frozenset(keys - SHAPES[one["type"]]))
        assert keys >= SHAPES[one["type"]], one["type"]
    assert found.keys() == SHAPES.keys()
    for type_, extra in found.items():
        assert extra == {frozenset(each) for each in EXTRA.get(type_, (set(),))}, type_


def test_every_event_can_be_parsed(any_dataset: Dataset) -> None:
    for one in all_events(any_dataset):
        row, _ = decode(one)
        failed_track = one["type"] == "track.recording.success" and "error_message" in one["data"]
        assert row.outcome == ("failed" if failed_track else OUTCOMES[one["type"].split(".")[-2]]), one["type"]
        assert row.occurred_at
        assert all((row.account_id, row.app_id, row.room_id, row.session_id))
        assert json.loads(json.dumps(one)) == one


def test_events_are_the_same_at_every_call(small: Dataset) -> None:
    workspace = small.workspaces[0]
    first = json.dumps(events_of(workspace))
    for one in events_of(workspace):
        one["data"].clear()
    assert json.dumps(events_of(workspace)) == first == json.dumps(events_of(deepcopy(workspace)))


def test_event_ids_are_unique(any_dataset: Dataset) -> None:
    ids = [one["id"] for one in all_events(any_dataset)]
    assert len({*ids}) == len(ids)
    assert all(str(UUID(event_id)) == event_id for event_id in ids)


def test_ids_of_webhooks_differ_from_ids_of_the_api(small: Dataset) -> None:
    for workspace in small.workspaces:
        jobs: defaultdict[str, set[str]] = defaultdict(set)
        names = ("beam_id", "job_id", "recording_id", "transcription_id", "app_id")
        for one in events_of(workspace):
            for name in names:
                if name in one["data"]:
                    jobs[name].add(one["data"][name])
        assert {*jobs} == {*names}
        ids = [each for found in jobs.values() for each in found]
        assert len({*ids}) == len(ids)
        assert not api_ids(workspace) & {*ids}
        recorders = [job for job in workspace.jobs() if "room-composite-legacy" not in job.get("asset_types", ())]
        assert len(jobs["beam_id"]) == len(jobs["job_id"]) == len(recorders)


def test_events_are_in_chronological_order(small: Dataset) -> None:
    for workspace in small.workspaces:
        for session in workspace.sessions:
            session_events = webhook_events(workspace, session["id"])
            assert all(moment(a["timestamp"]) <= moment(b["timestamp"]) for a, b in pairwise(session_events))
            assert {one["data"]["session_id"] for one in session_events} == {session["id"]}
            peer_events = [one["type"] for one in session_events if one["type"].startswith(("session", "peer"))]
            assert peer_events[0] == "session.open.success" == session_events[0]["type"]
            assert peer_events[-1] == "session.close.success"
            assert len(peer_events) == 2 + 2 * len(session["peers"])
            for name, steps in STEPS.items():
                found: defaultdict[str, list[str]] = defaultdict(list)
                for one in session_events:
                    if name in one["data"] and one["type"] in steps:
                        found[one["data"][name]].append(one["type"])
                for types in found.values():
                    assert types == sorted(types, key=steps.index)


STEPS = {
    "peer_id": ["peer.join.success", "beam.started.success", "beam.stopped.success", "peer.leave.success"],
    "beam_id": ["beam.started.success", "beam.stopped.success", "beam.failure", "beam.recording.success"],
    "job_id": ["hls.started.success", "hls.stopped.success"],
    "track_id": ["track.recording.started.success", "track.recording.success"],
    "transcription_id": ["transcription.started.success", "transcription.success"],
}
"""Order of the events about the same id."""


def test_times_match_the_records(small: Dataset) -> None:
    for workspace in small.workspaces:
        sessions = {session["id"]: session for session in workspace.sessions}
        started = {(job["session_id"], moment(job["started_at"])): job for job in workspace.jobs()}
        for one in events_of(workspace):
            row, _ = decode(one)
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


def test_every_complete_asset_is_reported_once_and_no_other(any_dataset: Dataset) -> None:
    for workspace in any_dataset.workspaces:
        complete = [asset["path"] for asset in workspace.assets if asset["status"] == "completed"]
        assert all(complete)
        completed = [asset.uri for _, asset in reported_assets(workspace) if asset.status == "completed" and asset.uri]
        assert Counter(completed) == Counter(complete)
        ids = {asset["id"] for asset in workspace.assets}
        for _, asset in reported_assets(workspace):
            assert asset.uri in complete or asset.uri is None
            assert asset.asset_id in ids or asset.asset_id is None


REPORTED = {
    "room-composite": {"size_bytes", "duration_s", "created_at", "width", "height"},
    "room-composite-legacy": {"size_bytes", "duration_s"},
    "room-vod": {"size_bytes", "duration_s", "created_at", "width", "height", "thumbnails"},
    "track": {"size_bytes", "duration_s", "peer_id", "stream_id", "track_id", "track_type"},
    "stream": {"size_bytes", "duration_s", "peer_id", "stream_id", "stream_type"},
    "chat": set(),
    "transcript": {"asset_id", "duration_s", "output_mode"},
    "summary": {"asset_id", "duration_s", "output_mode"},
}
"""Fields of an asset that webhooks report, by asset type."""


def test_webhooks_and_api_agree_on_every_asset(any_dataset: Dataset) -> None:
    types = set()
    for workspace in any_dataset.workspaces:
        in_api = {asset["path"]: records.asset(asset) for asset in workspace.assets if asset["status"] == "completed"}
        for _, asset in reported_assets(workspace):
            if asset.uri and asset.status == "completed":
                api = in_api[asset.uri]
                shared = {name for name in asset._fields if name in api._fields and getattr(asset, name) is not None}
                shared.discard("job_id")
                assert {name: getattr(asset, name) for name in shared} == {name: getattr(api, name) for name in shared}
                assert shared >= REPORTED[asset.asset_type] | {"asset_type", "room_id", "session_id", "uri", "status"}
                types.add(asset.asset_type)
    assert types == REPORTED.keys()


def test_the_first_event_of_a_transcription_has_the_ids_of_its_assets(small: Dataset) -> None:
    processing: dict[str | None, set[str | None]] = defaultdict(set)
    completed: dict[str | None, set[str | None]] = defaultdict(set)
    for workspace in small.workspaces:
        for row, asset in reported_assets(workspace):
            if row.transcription_id:
                assert (asset.status == "processing") == (row.outcome == "started") == (asset.uri is None)
                (processing if row.outcome == "started" else completed)[row.transcription_id].add(asset.asset_id)
    assert processing == completed
    assert {len(ids) for ids in completed.values()} >= {1, 4}  # 4 with a second srt, which one event cannot report


def test_every_recorder_joined_for_its_job(small: Dataset) -> None:
    for workspace in small.workspaces:
        joined = {peer_id: peer for session in workspace.sessions for peer_id, peer in session["peers"].items()}
        starts: Counter[str] = Counter()
        for one in events_of(workspace):
            if one["type"] in ("beam.started.success", "hls.started.success"):
                peer = joined[one["data"]["peer_id"]]
                assert peer["role"] == "__internal_recorder"
                delay = moment(one["timestamp"]) - moment(peer["joined_at"])
                assert timedelta(seconds=1) < delay <= timedelta(seconds=2)
                starts[peer["id"]] += 1
        recorders = [peer for peer in joined.values() if peer["role"] == "__internal_recorder"]
        assert starts == Counter(peer["id"] for peer in recorders)


def test_stop_events_have_the_planned_asset_types(small: Dataset) -> None:
    for workspace in small.workspaces:
        planned = Counter(
            (one["type"].partition(".")[0], decode(one)[0].planned_types)
            for one in events_of(workspace)
            if one["type"].endswith("stopped.success")
        )
        assert planned == {
            ("beam", '["room-composite"]'): sum(
                "room-composite-legacy" not in job.get("asset_types", ())
                for job in (*workspace.recordings, *workspace.external_streams)
            ),
            ("hls", '["room-vod","room-composite"]'): len(workspace.live_streams),
        }


def test_failed_jobs_have_a_failure_event(small: Dataset) -> None:
    for workspace in small.workspaces:
        failed = [job for job in workspace.jobs() if job["status"] == "failed"]
        rows = [decode(one)[0] for one in events_of(workspace) if one["type"] == "beam.failure"]
        assert [(row.error_type, row.error_message) for row in rows] == [("UPLOAD_ERROR", "upload failed")] * len(rows)
        assert Counter(row.session_id for row in rows) == Counter(job["session_id"] for job in failed)


def test_every_kind_of_recorder_can_fail() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    for job in workspace.jobs():
        job["status"] = "failed"
    types = Counter(one["type"] for one in events_of(workspace))
    legacy = sum("room-composite-legacy" in job["asset_types"] for job in workspace.recordings)
    assert types["recording.failed"] == legacy
    assert types["hls.failure"] == len(workspace.live_streams)
    assert types["beam.failure"] == len([*workspace.jobs()]) - legacy - len(workspace.live_streams)
    failed = [one for one in events_of(workspace) if one["type"] == "recording.failed"]
    assert {one["version"] for one in failed} == {"1.0"}
    rows = [decode(one) for one in failed]
    assert {(row.outcome, row.error_message, asset.status) for row, [asset] in rows} == {
        ("failed", "INTERNAL_ERROR", "failed")
    }


def of_type(dataset: Dataset, type_: str) -> list[Record]:
    return [one["data"] for one in all_events(dataset) if one["type"] == type_]


def test_the_duration_of_a_track_is_a_string(small: Dataset) -> None:
    durations = {type(data["duration"]) for data in of_type(small, "track.recording.success") if "duration" in data}
    assert durations == {str}


def test_a_failed_track_has_a_success_event_and_succeeds_later(small: Dataset) -> None:
    tracks = of_type(small, "track.recording.success")
    failed = {data["recording_path"]: index for index, data in enumerate(tracks) if "error_message" in data}
    completed = {data["recording_path"]: index for index, data in enumerate(tracks) if "error_message" not in data}
    assert 0 < len(failed) < len(completed)
    assert all(index < completed[path] for path, index in failed.items())


def test_the_kind_of_a_stream_has_two_field_names(small: Dataset) -> None:
    names = Counter("type" in data for data in of_type(small, "stream.recording.success"))
    assert names[True] == names[False] > 0


def test_a_location_is_a_web_url_or_an_object_uri(small: Dataset) -> None:
    for data in of_type(small, "beam.recording.success"):
        assert data.get("location", "https://").startswith("https://")
    legacy = [data for data in of_type(small, "recording.success") if data["recording_path"]]
    assert {data["location"] == data["recording_path"] for data in legacy} == {True}


def test_events_of_the_legacy_recorder_have_an_older_version(small: Dataset) -> None:
    versions = {(one["type"], one["version"]) for one in all_events(small)}
    assert {type_ for type_, version in versions if version == "1.0"} == {"recording.success"}
    assert {version for _, version in versions} == {"1.0", "2.0"}
    assert all("beam_id" not in data and "recording_id" not in data for data in of_type(small, "recording.success"))


def test_times_have_up_to_nine_digits(small: Dataset) -> None:
    times = [data["session_started_at"] for data in of_type(small, "session.open.success")]
    assert {len(time.partition(".")[2]) for time in times} == {len("123456789Z")}
    assert {len(one["timestamp"]) for one in all_events(small)} == {len("2026-03-02T10:00:00Z")}


def test_the_path_of_a_missing_file_is_an_empty_string(small: Dataset) -> None:
    recorded = of_type(small, "beam.recording.success") + of_type(small, "recording.success")
    for name in ("recording", "chat_recording"):
        empty = {(data[f"{name}_path"] == "", data[f"{name}_presigned_url"] == "") for data in recorded}
        assert empty == {(True, True), (False, False)}


def test_events_contain_secrets_in_the_documented_fields(small: Dataset) -> None:
    for one in all_events(small):
        data = one["data"]
        assert TOKEN_CANARY in data.get("meeting_url", TOKEN_CANARY)
        assert PLAYBACK_CANARY in data.get("url", PLAYBACK_CANARY)
        assert SIGNATURE_CANARY in data.get("URL", SIGNATURE_CANARY)
        signed = [url for name, url in data.items() if name.endswith("_presigned_url")]
        signed += [each["recording_presigned_url"] for each in data.get("recording_single_files", ())]
        signed += [each["url"] for each in data.get("recording_thumbnails", ())]
        assert all(SIGNATURE_CANARY in url for url in signed if url)
    keys = [each["url"] for data in of_type(small, "beam.started.success") for each in data["rtmp"]]
    assert len(keys) == sum(len(job["rtmp_urls"]) for one in small.workspaces for job in one.external_streams) > 0
    assert all(STREAM_KEY_CANARY in url for url in keys)
    text = json.dumps(all_events(small))
    assert all(canary in text for canary in CANARIES)


def test_parsed_events_contain_no_secret(small: Dataset) -> None:
    rows = repr([decode(one) for one in all_events(small)])
    assert not [canary for canary in CANARIES if canary in rows]


def test_a_session_of_another_workspace_is_an_error(small: Dataset) -> None:
    ours, other = small.workspaces
    with pytest.raises(KeyError):
        webhook_events(ours, other.sessions[0]["id"])


def test_several_files_of_a_type_in_one_event_are_an_error() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    chat = next(asset for asset in workspace.assets if asset["type"] == "chat")
    workspace.assets.append(chat | {"id": "another", "path": "s3://acme/another.csv"})
    with pytest.raises(ValueError, match="several assets of type chat"):
        webhook_events(workspace, chat["session_id"])


def test_a_recorder_that_is_not_a_peer_has_no_peer_id() -> None:
    workspace = generate(sessions=MINIMUM_SESSIONS).workspaces[0]
    for session in workspace.sessions:
        session["peers"] = {key: peer for key, peer in session["peers"].items() if peer["name"] != "Beam"}
    assert {one["data"]["peer_id"] for one in events_of(workspace) if one["type"].endswith("stopped.success")} == {""}
