"""What a load of some objects and workspaces must show, added up from what was meant when they were made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.dataset.model import TABLES, Bucket, Message, Section, Sentence, Session, WorldObject
from sandbox.dataset.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Showcase:
    """All that was said in one session without any fault in its files."""

    session_id: str
    chat: tuple[Message, ...]
    transcript: tuple[Sentence, ...]
    summary: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a load of some objects must show."""

    objects: Mapping[str, Mapping[str, int]]
    """Objects by source and disposition."""
    rows: Mapping[str, int]
    """Rows by table, or view."""
    refusals: Mapping[str, int]
    """Refused records and files by reason code."""
    ignored: Mapping[str, int]
    """Objects by the reason for ignoring them."""
    evidence: Mapping[str, int]
    """Loaded and refused objects by what gives them their session."""
    unplaced: Mapping[str, int]
    """Those that have none, by reason."""
    duplicates: int
    """Records left out because their own file holds them already."""
    recorded_twice: int
    """Loaded chat rows whose message another recorder of the session wrote too, not counting the first."""
    showcase: Showcase | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything; objects in the order in which they reached the buckets."""

    buckets: tuple[Bucket, ...]
    sessions: tuple[Session, ...]
    objects: tuple[WorldObject, ...]
    workspaces: tuple[Workspace, ...]
    expected: Expected


def expect(
    objects: Iterable[WorldObject], showcase: Showcase | None = None, workspaces: Sequence[Workspace] = ()
) -> Expected:
    """Add up these objects: the whole world, or one customer, or one day of it; and these workspaces.

    The objects of a customer whose workspace is not among them count as a load without any vendor to ask finds them.
    """
    told = {workspace.customer for workspace in workspaces}
    dispositions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rows = Counter(dict.fromkeys(TABLES, 0))
    refusals: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    evidences: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    messages: Counter[tuple[str | None, str]] = Counter()
    assets: set[tuple[str, str]] = set()
    duplicates = 0
    for thing in objects:
        outcome = thing.outcome if thing.customer in told else thing.alone
        if outcome is None:
            continue
        dispositions[thing.source][outcome.disposition] += 1
        rows.update(outcome.rows)
        refusals.update(outcome.refusals)
        messages.update((thing.session_id, message_id) for message_id in outcome.message_ids)
        duplicates += outcome.duplicates
        if outcome.ignored_as:
            ignored[outcome.ignored_as] += 1
            continue
        evidence, reason = (thing.evidence, thing.reason) if thing.customer in told else thing.evidence_alone()
        evidences[evidence] += 1
        reasons.update([reason] if reason else [])
        assets.add((thing.customer, thing.uri))
    for workspace in workspaces:
        rows.update(_records(workspace))
    named = {(workspace.customer, asset["path"]) for workspace in workspaces for asset in workspace.assets}
    # Of two records of one object one joins it, and the other stands for itself, as do those of what is nowhere.
    rows["recording_assets"] = len(assets) + rows["asset_records"] - len(assets & named)
    return Expected(
        objects={source: dict(counts) for source, counts in dispositions.items()},
        rows=dict(rows),
        refusals=dict(refusals),
        ignored=dict(ignored),
        evidence=dict(evidences),
        unplaced=dict(reasons),
        duplicates=duplicates,
        recorded_twice=messages.total() - len(messages),
        showcase=showcase,
    )


def _records(workspace: Workspace) -> dict[str, int]:
    return {
        "rooms": len(workspace.rooms),
        "sessions": len(workspace.sessions),
        "peers": sum(len(session["peers"]) for session in workspace.sessions),
        "recordings": len([*workspace.jobs()]),
        "asset_records": len(workspace.assets),
    }
