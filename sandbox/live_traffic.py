"""The dataset as live traffic: one finished session after the other, with objects, API records and webhook events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sandbox.dataset import Dataset, DatasetObject
from sandbox.dataset.webhook_events import webhook_events
from sandbox.dataset.workspace import Record, Workspace

_LISTS = ("rooms", "sessions", "recordings", "live_streams", "external_streams", "assets")


@dataclass(frozen=True, slots=True)
class FinishedSession:
    """One session that has ended."""

    session_id: str
    workspace: Workspace
    """The complete workspace; `publish_records` copies the session's records from it."""
    objects: Sequence[DatasetObject]
    """Objects for the customer's bucket."""
    events: Sequence[Record]
    """Webhook events."""


def empty_workspace(workspace: Workspace) -> Workspace:
    """A copy of the workspace without records."""
    return replace(workspace, **{name: [] for name in _LISTS}, contents={})


def finished_sessions(dataset: Dataset) -> Iterator[FinishedSession]:
    """Split the dataset by session, oldest first; objects without a known session are left out."""
    objects: defaultdict[str, list[DatasetObject]] = defaultdict(list)
    buckets = {bucket.source for bucket in dataset.buckets}
    for obj in dataset.objects:
        if obj.session_id and obj.source in buckets:
            objects[obj.session_id].append(obj)
    workspaces = {workspace.customer: workspace for workspace in dataset.workspaces}
    for session in dataset.sessions:
        workspace = workspaces[session.customer]
        yield FinishedSession(session.id, workspace, objects[session.id], webhook_events(workspace, session.id))


def publish_records(finished: FinishedSession, served: Workspace) -> None:
    """Add the records of this session to the workspace that the API serves."""
    complete = finished.workspace
    [session] = [one for one in complete.sessions if one["id"] == finished.session_id]
    known = {room["id"] for room in served.rooms}
    served.rooms += [room for room in complete.rooms if room["id"] == session["room_id"] and room["id"] not in known]
    served.sessions.append(session)
    for name in ("recordings", "live_streams", "external_streams", "assets"):
        records = [one for one in getattr(complete, name) if one["session_id"] == finished.session_id]
        getattr(served, name).extend(records)
    served.contents |= {
        one["id"]: complete.contents[one["id"]] for one in served.assets if one["id"] in complete.contents
    }
