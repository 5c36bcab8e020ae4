"""Workspaces of the dataset: the API records match the recorded sessions, with the intended exceptions."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import jwt
import requests

from sandbox.dataset import CANARIES, MINIMUM_SESSIONS, Dataset, DatasetObject, Workspace, generate
from sandbox.dataset.workspace import PLAYBACK_CANARY, SIGNATURE_CANARY, STREAM_KEY_CANARY, TOKEN_CANARY
from sandbox.hundredms_api import vendor_server

SIZES = {"resolution": {"width": 1280, "height": 720}}
METADATA = {
    "room-composite": ({"resolution"}, {"resolution", "layer"}),
    "room-composite-legacy": (set(),),
    "room-vod": ({"num_layers", "max_width", "max_height"},),
    "track": ({"track_id", "stream_id", "peer_id", "track_type"},),
    "stream": ({"stream_id", "peer_id", "user_id", "stream_type"},),
    "chat": (set(),),
    "transcript": ({"output_mode"},),
    "summary": ({"output_mode"},),
}
"""Keys of the metadata of an asset, by type."""

ASSET = {
    "id", "job_id", "room_id", "session_id", "type", "path", "thumbnails", "metadata", "duration", "size", "status",
    "created_at",
}  # fmt: skip
JOB = {
    "id", "room_id", "session_id", "status", "created_at", "started_at", "updated_at", "stopped_at", "meeting_url",
    "started_by", "stopped_by",
}  # fmt: skip


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def lists(workspace: Workspace) -> Iterator[list[dict[str, Any]]]:
    yield from (workspace.rooms, workspace.sessions, workspace.assets)
    yield from (workspace.recordings, workspace.live_streams, workspace.external_streams)


def objects_of(dataset: Dataset, workspace: Workspace) -> dict[str, DatasetObject]:
    return {obj.uri: obj for obj in dataset.objects if obj.customer == workspace.customer}


def test_there_is_one_workspace_for_each_customer(dataset: Dataset) -> None:
    assert [one.customer for one in dataset.workspaces] == [bucket.customer for bucket in dataset.buckets]
    assert [one.url for one in dataset.workspaces] == ["100ms://aurora", "100ms://borealis"]
    assert len({one.access_key for one in dataset.workspaces}) == len({one.secret for one in dataset.workspaces}) == 2
    sources = {one.source for one in dataset.workspaces} | {bucket.source for bucket in dataset.buckets}
    assert len(sources) == 4
    for one in dataset.workspaces:
        assert len(one.secret) >= 32
        assert one.secret not in repr(one)


def test_ids_are_unique_and_lists_are_oldest_first(dataset: Dataset) -> None:
    ids = [record["id"] for one in dataset.workspaces for records in lists(one) for record in records]
    ids += [peer for one in dataset.workspaces for session in one.sessions for peer in session["peers"]]
    assert len(set(ids)) == len(ids)
    for one in dataset.workspaces:
        for records in lists(one):
            assert all(
                (moment(a["created_at"]), a["id"]) < (moment(b["created_at"]), b["id"]) for a, b in pairwise(records)
            )
            assert records


def test_sessions_and_peers_match_the_dataset(dataset: Dataset) -> None:
    records = {session["id"]: session for one in dataset.workspaces for session in one.sessions}
    assert records.keys() == {session.id for session in dataset.sessions}
    for session in dataset.sessions:
        record = records[session.id]
        assert record["active"] is False
        assert (record["room_id"], moment(record["created_at"])) == (session.room_id, session.started_at)
        assert record["peers"].keys() == {peer.id for peer in session.peers}
        for peer in session.peers:
            stay = record["peers"][peer.id]
            assert (stay["id"], stay["session_id"], stay["name"], stay["role"], stay["user_id"]) == (
                peer.id, session.id, peer.name, peer.role, peer.user_id
            )  # fmt: skip
            assert (moment(stay["joined_at"]), moment(stay["left_at"])) == (peer.joined_at, peer.left_at)
        last = max(moment(peer["left_at"]) for peer in record["peers"].values())
        assert last == session.ended_at
        assert timedelta() < moment(record["updated_at"]) - last < timedelta(seconds=1)


def test_rooms_have_the_storage_of_their_recordings(dataset: Dataset) -> None:
    for workspace, bucket in zip(dataset.workspaces, dataset.buckets, strict=True):
        rooms = {room["id"]: room for room in workspace.rooms}
        names = {s.room_id: s.room_name for s in dataset.sessions if s.customer == workspace.customer}
        assert {room_id: room["name"] for room_id, room in rooms.items()} == names
        stored = {room_id: room["recording_info"].get("upload_info") for room_id, room in rooms.items()}
        without = [room_id for room_id, info in stored.items() if info is None]
        assert all(
            info == {"type": bucket.scheme, "location": bucket.name, "prefix": bucket.prefix}
            for room_id, info in stored.items()
            if room_id not in without
        )
        of_vendor = {obj.room_id for obj in dataset.objects if obj.source == workspace.source}
        assert {*without} == of_vendor
        assert len(of_vendor) == 1


def test_jobs_match_the_dataset(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        kinds = {
            "recording": workspace.recordings,
            "live-stream": workspace.live_streams,
            "external-stream": workspace.external_streams,
        }
        records = {job["id"]: (kind, job) for kind, jobs in kinds.items() for job in jobs}
        assert {record["id"] for record in workspace.jobs()} == records.keys()
        sessions = [session for session in dataset.sessions if session.customer == workspace.customer]
        assert records.keys() == {job.id for session in sessions for job in session.jobs}
        for session in sessions:
            for job in session.jobs:
                kind, record = records[job.id]
                assert (kind, record["status"]) == (job.kind, job.status)
                assert (record["room_id"], record["session_id"]) == (session.room_id, session.id)
                assert moment(record["started_at"]) == job.started_at
                assert moment(record["stopped_at"]) == job.stopped_at
                assert record["started_by"] in {peer.id for peer in session.peers if peer.role == "host"}
                assert record.get("asset_types", [*job.planned]) == [*job.planned]
        assert all(job.keys() == JOB | {"asset_types"} for job in workspace.recordings)
        live = JOB | {"destination", "playback", "recording"}
        assert all(job.keys() == live for job in workspace.live_streams)
        external = JOB | {"rtmp_urls", "recording", "resolution"}
        assert all(job.keys() == external for job in workspace.external_streams)


def test_assets_belong_to_their_job(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        jobs = {job["id"]: job for job in workspace.jobs()}
        for asset in workspace.assets:
            job = jobs[asset["job_id"]]
            assert (asset["room_id"], asset["session_id"]) == (job["room_id"], job["session_id"])
            assert asset.keys() == ASSET
            assert moment(asset["created_at"]) > moment(job["stopped_at"])


def test_every_record_has_its_object_with_the_intended_exceptions(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        objects = objects_of(dataset, workspace)
        without: Counter[str] = Counter()
        for asset in workspace.assets:
            obj = objects.get(asset["path"])
            if obj is None:
                stored = asset["path"].startswith("s3://vendor-held-recordings/")
                without["stored" if stored else "nowhere" if asset["path"] else "empty"] += 1
                assert asset["type"] == "room-composite"
                assert asset["status"] == ("completed" if stored else "failed")
                continue
            assert (asset["type"], asset["session_id"], asset["room_id"], asset["job_id"]) == (
                obj.asset_type, obj.session_id, obj.room_id, obj.job_id
            )  # fmt: skip
            if asset["status"] == "failed":
                assert obj.case == "named_twice"
                assert asset["size"] == 0
            else:
                assert asset["status"] == "completed"
                assert (asset["size"] == len(obj.content)) == (obj.case != "size_differs")
                created = moment(asset["created_at"])
                assert created == obj.written_at
        assert without.keys() == {"stored", "nowhere", "empty"}
        assert without["stored"] == without["nowhere"] == 1


def test_every_object_has_its_record_with_the_intended_exceptions(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        records = Counter(asset["path"] for asset in workspace.assets)
        for obj in objects_of(dataset, workspace).values():
            twice = obj.case == "named_twice" and obj.asset_type == "room-composite"
            assert records[obj.uri] == (obj.evidence == "asset_record") + twice, obj.case
        twice = [path for path, count in records.items() if path and count > 1]
        assert len(twice) == 1
        earlier, later = [asset for asset in workspace.assets if asset["path"] == twice[0]]
        assert (earlier["status"], later["status"]) == ("failed", "completed")


def test_failed_jobs_have_a_failed_asset_or_a_chat_file(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        jobs = {job["id"]: job["status"] for job in workspace.jobs()}
        of_failed = [asset for asset in workspace.assets if jobs[asset["job_id"]] == "failed"]
        assert {asset["job_id"] for asset in of_failed} == {job for job, status in jobs.items() if status == "failed"}
        good = [asset["type"] for asset in of_failed if asset["status"] == "completed"]
        assert good == ["chat"]
        failed = Counter(asset["job_id"] for asset in of_failed if asset["status"] == "failed")
        assert {*failed.values()} == {1}


def test_metadata_match_the_asset_type(dataset: Dataset) -> None:
    seen: set[tuple[str, str]] = set()
    for workspace in dataset.workspaces:
        objects = objects_of(dataset, workspace)
        for asset in workspace.assets:
            metadata, kind = asset["metadata"], asset["type"]
            seen |= {(kind, key) for key in metadata}
            assert metadata.keys() in METADATA[kind] or (asset["status"] == "failed" and metadata == {})
            assert metadata.get("resolution", SIZES["resolution"]) == SIZES["resolution"]
            assert re.fullmatch(r"\d", metadata.get("layer", "0"))
            assert re.fullmatch(r"\d", metadata.get("num_layers", "2"))
            obj = objects.get(asset["path"])
            if obj and obj.case != "named_media":
                assert all(metadata[key] in obj.key for key in ("peer_id", "stream_id", "track_id") if key in metadata)
                assert "layer" not in metadata or obj.key.endswith(f"-{metadata['layer']}.mp4")
            if "output_mode" in metadata and obj and obj.case != "srt_named_json":
                assert asset["path"].endswith(metadata["output_mode"])
            elif obj and obj.case == "srt_named_json":
                assert (metadata["output_mode"], asset["path"][-5:]) == ("srt", ".json")
            assert (asset["thumbnails"] is not None) == (kind == "room-vod")
            assert all(objects[uri].case == "thumbnail" for uri in asset["thumbnails"] or ())
            assert (asset["duration"] > 0) == (kind != "chat" and asset["status"] == "completed")
    assert seen == {(kind, key) for kind, every in METADATA.items() for keys in every for key in keys}


def test_times_have_many_formats(dataset: Dataset) -> None:
    text = json.dumps([[*lists(one)] for one in dataset.workspaces])
    digits = {len(fraction) for fraction in re.findall(r":\d\d(?:\.(\d+))?Z", text)}
    assert {0, 2, 3, 9} <= digits
    assert '"0001-01-01T00:00:00Z"' in text


def test_the_vendor_stores_files_that_no_bucket_has(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        stored = [obj for obj in dataset.objects if obj.source == workspace.source]
        assert Counter(obj.asset_type for obj in stored) == {"chat": 1, "transcript": 3, "summary": 1}
        assert {obj.case for obj in stored} == {"stored_by_vendor"}
        assert {obj.outcome.disposition for obj in stored} == {"loaded"}
        paths = {asset["id"]: asset["path"] for asset in workspace.assets}
        bytes_of = {paths[asset_id]: content for asset_id, content in workspace.contents.items()}
        assert bytes_of == {obj.uri: obj.content for obj in stored}
        assert all(obj.outcome_without_api is None for obj in stored)


def test_records_contain_secrets_in_the_documented_fields(dataset: Dataset) -> None:
    assert CANARIES == (TOKEN_CANARY, STREAM_KEY_CANARY, PLAYBACK_CANARY, SIGNATURE_CANARY)
    for workspace in dataset.workspaces:
        assert all(TOKEN_CANARY in job["meeting_url"] for job in workspace.jobs())
        assert all(PLAYBACK_CANARY in job["playback"]["url"] for job in workspace.live_streams)
        assert all(STREAM_KEY_CANARY in url for job in workspace.external_streams for url in job["rtmp_urls"])
        others = json.dumps([workspace.rooms, workspace.sessions, workspace.assets])
        assert not any(canary in others for canary in (*CANARIES, workspace.secret))
    everything = b"".join(obj.content for obj in dataset.objects)
    assert not any(canary.encode() in everything for canary in CANARIES)


def test_the_server_returns_all_records_and_files() -> None:
    dataset = generate(sessions=MINIMUM_SESSIONS)
    workspace, other = dataset.workspaces
    now = int(time.time())
    claims = {"access_key": workspace.access_key, "type": "management", "version": 2, "jti": "1"}
    token = jwt.encode(claims | {"iat": now, "nbf": now, "exp": now + 60}, workspace.secret)
    with vendor_server(dataset.workspaces) as vendor, requests.Session() as http:

        def get(path: str) -> Any:
            answer = http.get(f"{vendor.endpoint}/{path}", headers={"Authorization": f"Bearer {token}"}, timeout=10)
            assert answer.status_code == 200, answer.text
            return answer.json()

        found: list[str] = []
        page = get("recording-assets?limit=100")
        while page["data"]:
            found += [asset["id"] for asset in page["data"]]
            page = get(f"recording-assets?limit=100&start={page['last']}")
        assert found == [asset["id"] for asset in reversed(workspace.assets)]
        for asset_id, content in workspace.contents.items():
            url = get(f"recording-assets/{asset_id}/presigned-url")["url"]
            assert SIGNATURE_CANARY in url
            assert http.get(url, timeout=10).content == content
        job = workspace.external_streams[0]
        assert [asset["job_id"] for asset in workspace.assets].count(job["id"]) == len(
            get(f"external-streams/{job['id']}")["recording_assets"]
        )
        answer = http.get(
            f"{vendor.endpoint}/rooms/{other.rooms[0]['id']}", headers={"Authorization": f"Bearer {token}"}, timeout=10
        )
        assert answer.status_code == 404


def test_ids_are_older_than_their_records(dataset: Dataset) -> None:
    for workspace in dataset.workspaces:
        for records in lists(workspace):
            for record in records:
                id_time = datetime.fromtimestamp(int(record["id"][:8], 16), UTC)
                assert timedelta(seconds=-4) < moment(record["created_at"]) - id_time < timedelta(seconds=31)
