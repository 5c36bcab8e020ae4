"""Expected counts after a load, added up from the outcome that was defined when each file was generated."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.dataset.model import TABLES, Bucket, DatasetObject, Message, Section, Sentence, Session
from sandbox.dataset.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages, sentences and summary of one recording."""

    session_id: str
    chat: tuple[Message, ...]
    transcript: tuple[Sentence, ...]
    summary: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """Expected counts after a load."""

    objects: Mapping[str, Mapping[str, int]]
    """Objects by source and disposition."""
    rows: Mapping[str, int]
    """Rows by table or view."""
    refusals: Mapping[str, int]
    """Refused records and files by reason code."""
    ignored: Mapping[str, int]
    """Ignored objects by reason."""
    evidence: Mapping[str, int]
    """Loaded and refused objects by session evidence."""
    unresolved: Mapping[str, int]
    """Loaded and refused objects without a session, by reason."""
    duplicates: int
    """Records that were not loaded because the same file already holds them."""
    recorded_twice: int
    """Loaded chat rows whose message a second recorder of the session also wrote, without the first row."""
    showcase: Conversation | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """The whole dataset; objects in the order in which they were written."""

    buckets: tuple[Bucket, ...]
    sessions: tuple[Session, ...]
    objects: tuple[DatasetObject, ...]
    workspaces: tuple[Workspace, ...]
    expected: Expected


def expect(
    objects: Iterable[DatasetObject], showcase: Conversation | None = None, workspaces: Sequence[Workspace] = ()
) -> Expected:
    """Add up the expected counts of these objects and workspaces: of the whole dataset, or of a part of it.

    Objects of a customer whose workspace is missing count as a load without the vendor's API counts them.
    """
    customers = {workspace.customer for workspace in workspaces}
    dispositions: defaultdict[str, Counter[str]] = defaultdict(Counter)
    rows = Counter(dict.fromkeys(TABLES, 0))
    refusals: Counter[str] = Counter()
    ignored: Counter[str] = Counter()
    evidence_counts: Counter[str] = Counter()
    unresolved: Counter[str] = Counter()
    messages: Counter[tuple[str | None, str]] = Counter()
    assets: set[tuple[str, str]] = set()
    duplicates = 0
    for obj in objects:
        with_api = obj.customer in customers
        outcome = obj.outcome if with_api else obj.outcome_without_api
        if outcome is None:
            continue
        dispositions[obj.source][outcome.disposition] += 1
        rows.update(outcome.rows)
        refusals.update(outcome.refusals)
        messages.update((obj.session_id, message_id) for message_id in outcome.message_ids)
        duplicates += outcome.duplicates
        if outcome.ignored_reason:
            ignored[outcome.ignored_reason] += 1
            continue
        evidence, reason = obj.resolution(with_api=with_api)
        evidence_counts[evidence] += 1
        unresolved.update([reason] if reason else [])
        assets.add((obj.customer, obj.uri))
    for workspace in workspaces:
        rows.update(_records(workspace))
    recorded = {(workspace.customer, asset["path"]) for workspace in workspaces for asset in workspace.assets}
    # The view joins an object with one record. A second record has its own row, and so has a record without object.
    rows["recording_assets"] = len(assets) + rows["asset_records"] - len(assets & recorded)
    return Expected(
        objects={source: dict(counts) for source, counts in dispositions.items()},
        rows=dict(rows),
        refusals=dict(refusals),
        ignored=dict(ignored),
        evidence=dict(evidence_counts),
        unresolved=dict(unresolved),
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
