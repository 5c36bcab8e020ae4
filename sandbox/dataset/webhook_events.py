"""Webhook events of a session in order, derived from the records of a workspace.

The events follow the vendor documentation, including its contradictions. Ids that only webhooks have are invented: the
documentation does not say that they equal ids of the API.
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.dataset.asset_events import asset_events
from sandbox.dataset.event_fields import (
    Event,
    RecordedJob,
    SessionFields,
    invented_id,
    invented_uuid,
    moment,
    nanosecond_form,
    seconds,
)
from sandbox.dataset.recorder_events import recorder_events
from sandbox.dataset.workspace import Record, Workspace


def webhook_events(workspace: Workspace, session_id: str) -> list[Record]:
    """All events of a session that has ended, in order, as JSON; the same at every call.

    They report every complete asset of the session exactly once, and no other asset. Raises KeyError if the workspace
    does not have the session.
    """
    session = next((one for one in workspace.sessions if one["id"] == session_id), None)
    if session is None:
        raise KeyError(session_id)
    fields = _fields(session, next(room for room in workspace.rooms if room["id"] == session["room_id"]))
    events = [Event(moment(session["created_at"]), "session.open.success", "", fields.named), *_peers(fields, session)]
    for job in _jobs(workspace, session):
        events += [*recorder_events(fields, job), *asset_events(fields, job)]
    events.append(_close(fields, session))
    # The sort is stable: events of the same time keep this order, so no peer joins before the session opens.
    return [_with_envelope(workspace, fields, event) for event in sorted(events, key=lambda event: event.at)]


def _with_envelope(workspace: Workspace, fields: SessionFields, event: Event) -> Record:
    return {
        "version": event.version,
        "id": invented_uuid(f"{workspace.url}/{fields.ids['session_id']}/{event.type}/{event.subject}"),
        **fields.app,
        "timestamp": f"{event.at:%Y-%m-%dT%H:%M:%SZ}",
        "type": event.type,
        "data": event.data,
    }


def _fields(session: Record, room: Record) -> SessionFields:
    ids = {"room_id": room["id"], "session_id": session["id"]}
    started = ids | {"template_id": room["template_id"], "session_started_at": nanosecond_form(session["created_at"])}
    return SessionFields(
        ids=ids,
        started=started,
        named=started | {"room_name": room["name"]},
        stopped={"session_stopped_at": nanosecond_form(_ended_at(session))},
        app={"account_id": session["customer_id"], "app_id": invented_id("app", session["customer_id"])},
    )


def _close(fields: SessionFields, session: Record) -> Event:
    duration = seconds(session["created_at"], _ended_at(session))
    data = fields.named | fields.stopped | {"session_duration": duration}
    return Event(moment(_ended_at(session)), "session.close.success", "", data)


def _ended_at(session: Record) -> str:
    return max((str(peer["left_at"]) for peer in session["peers"].values()), key=moment)


def _peers(fields: SessionFields, session: Record) -> Iterator[Event]:
    for peer in session["peers"].values():
        joined = fields.named | {
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
        yield Event(moment(peer["joined_at"]), "peer.join.success", peer["id"], joined)
        yield Event(moment(peer["left_at"]), "peer.leave.success", peer["id"], left)


def _jobs(workspace: Workspace, session: Record) -> Iterator[RecordedJob]:
    lists = (("beam", workspace.recordings), ("hls", workspace.live_streams), ("beam", workspace.external_streams))
    for kind, records in lists:
        for record in records:
            if record["session_id"] == session["id"]:
                is_legacy = "room-composite-legacy" in record.get("asset_types", ())
                assets = [asset for asset in workspace.assets if asset["job_id"] == record["id"]]
                complete = [asset for asset in assets if asset["status"] == "completed"]
                yield RecordedJob("recording" if is_legacy else kind, record, _recorder(session, record), complete)


def _recorder(session: Record, job: Record) -> str:
    """Peer id of the last recorder that joined before the job started; another may have joined right after it."""
    started_at = moment(job["started_at"])
    recorders = [peer for peer in session["peers"].values() if peer["role"] == "__internal_recorder"]
    joined = [(moment(peer["joined_at"]), str(peer["id"])) for peer in recorders]
    return max((each for each in joined if each[0] <= started_at), default=(started_at, ""))[1]
