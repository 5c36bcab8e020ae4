"""The invented world bit by bit: one session after the other, with all that comes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sandbox.dataset import World, WorldObject
from sandbox.dataset.events import events
from sandbox.dataset.workspace import Record, Workspace

_LISTS = ("rooms", "sessions", "recordings", "live_streams", "external_streams", "assets")


@dataclass(frozen=True, slots=True)
class Part:
    """One session that is over."""

    session_id: str
    workspace: Workspace
    """The whole account, of which the session's records are told with `tell`."""
    objects: Sequence[WorldObject]
    """What reaches the customer's bucket."""
    events: Sequence[Record]
    """What the vendor posts."""


def emptied(workspace: Workspace) -> Workspace:
    """The account before anything has happened in it."""
    return replace(workspace, **{name: [] for name in _LISTS}, contents={})


def parts(world: World) -> Iterator[Part]:
    """Take the world apart, oldest session first; what belongs to no known session is left out."""
    objects: defaultdict[str, list[WorldObject]] = defaultdict(list)
    buckets = {bucket.source for bucket in world.buckets}
    for thing in world.objects:
        if thing.session_id and thing.source in buckets:
            objects[thing.session_id].append(thing)
    accounts = {workspace.customer: workspace for workspace in world.workspaces}
    for session in world.sessions:
        account = accounts[session.customer]
        yield Part(session.id, account, objects[session.id], events(account, session.id))


def tell(part: Part, told: Workspace) -> None:
    """Let the vendor's API tell of this session, in the account that was `emptied`."""
    whole = part.workspace
    [session] = [one for one in whole.sessions if one["id"] == part.session_id]
    known = {room["id"] for room in told.rooms}
    told.rooms += [room for room in whole.rooms if room["id"] == session["room_id"] and room["id"] not in known]
    told.sessions.append(session)
    for name in ("recordings", "live_streams", "external_streams", "assets"):
        mine = [one for one in getattr(whole, name) if one["session_id"] == part.session_id]
        getattr(told, name).extend(mine)
    told.contents |= {one["id"]: whole.contents[one["id"]] for one in told.assets if one["id"] in whole.contents}
