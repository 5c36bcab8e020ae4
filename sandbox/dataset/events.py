"""Webhook events of a session, put together from a workspace's records: what the vendor sends of it, in order.

Shapes are those of the vendor documentation, contradictions and all. Ids that only webhooks have are invented: nothing
says that they are those of the API.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.dataset.asset_events import of_assets
from sandbox.dataset.event_parts import (
    Call,
    Job,
    Told,
    invented_id,
    invented_uuid,
    long_form,
    moment,
    seconds,
)
from sandbox.dataset.recorder_events import of_recorder
from sandbox.dataset.workspace import Record, Workspace


def events(workspace: Workspace, session_id: str) -> list[Record]:
    """All events of a session that is over, in the order in which they happen, as JSON; the same at every call.

    They name every complete asset of the workspace's records once as made, and nothing else. Raises KeyError if the
    workspace has no such session.
    """
    session = next((one for one in workspace.sessions if one["id"] == session_id), None)
    if session is None:
        raise KeyError(session_id)
    call = _call(session, next(room for room in workspace.rooms if room["id"] == session["room_id"]))
    told = [Told(moment(session["created_at"]), "session.open.success", "", call.named), *_stays(call, session)]
    for job in _jobs(workspace, session):
        told += [*of_recorder(call, job), *of_assets(call, job)]
    told.append(_close(call, session))
    # Sorting leaves what happens at one moment as it stands here: nobody joins before the session opens.
    return [_enveloped(workspace, call, one) for one in sorted(told, key=lambda one: one.at)]


def _enveloped(workspace: Workspace, call: Call, told: Told) -> Record:
    return {
        "version": told.version,
        "id": invented_uuid(f"{workspace.url}/{call.place['session_id']}/{told.type}/{told.about}"),
        **call.app,
        "timestamp": f"{told.at:%Y-%m-%dT%H:%M:%SZ}",
        "type": told.type,
        "data": told.data,
    }


def _call(session: Record, room: Record) -> Call:
    place = {"room_id": room["id"], "session_id": session["id"]}
    begun = place | {"template_id": room["template_id"], "session_started_at": long_form(session["created_at"])}
    return Call(
        place=place,
        begun=begun,
        named=begun | {"room_name": room["name"]},
        stopped={"session_stopped_at": long_form(_ended_at(session))},
        app={"account_id": session["customer_id"], "app_id": invented_id("app", session["customer_id"])},
    )


def _close(call: Call, session: Record) -> Told:
    duration = seconds(session["created_at"], _ended_at(session))
    data = call.named | call.stopped | {"session_duration": duration}
    return Told(moment(_ended_at(session)), "session.close.success", "", data)


def _ended_at(session: Record) -> str:
    return max((str(peer["left_at"]) for peer in session["peers"].values()), key=moment)


def _stays(call: Call, session: Record) -> Iterator[Told]:
    for peer in session["peers"].values():
        joined = call.named | {
            "peer_id": peer["id"],
            "role": peer["role"],
            "type": "regular",
            "user_id": peer["user_id"],
            "user_name": peer["name"],
            "user_data": "",
            "joined_at": peer["joined_at"],
        }
        left = joined | {
            "left_at": peer["left_at"],
            "duration": seconds(peer["joined_at"], peer["left_at"]),
            "reason": "client request",
            "message": "",
        }
        yield Told(moment(peer["joined_at"]), "peer.join.success", peer["id"], joined)
        yield Told(moment(peer["left_at"]), "peer.leave.success", peer["id"], left)


def _jobs(workspace: Workspace, session: Record) -> Iterator[Job]:
    lists = (("beam", workspace.recordings), ("hls", workspace.live_streams), ("beam", workspace.external_streams))
    for kind, records in lists:
        for record in records:
            if record["session_id"] == session["id"]:
                is_legacy = "room-composite-legacy" in record.get("asset_types", ())
                assets = [asset for asset in workspace.assets if asset["job_id"] == record["id"]]
                files = [asset for asset in assets if asset["status"] == "completed"]
                yield Job("recording" if is_legacy else kind, record, _recorder(session, record), files)


def _recorder(session: Record, job: Record) -> str:
    """The recorder that was the last to join before the job started: another may have joined right after it."""
    started_at = moment(job["started_at"])
    recorders = [peer for peer in session["peers"].values() if peer["role"] == "__internal_recorder"]
    joined = [(moment(peer["joined_at"]), str(peer["id"])) for peer in recorders]
    return max((each for each in joined if each[0] <= started_at), default=(started_at, ""))[1]
