"""What must hold after the chaos, each as sentences that say what does not: no sentence, nothing wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from benchmarks.chaos.differences import Difference

_NAMED = 3
"""So many of what is wrong are named, the others counted."""


def same_tables(when: str, compared: Iterable[Difference]) -> Iterator[str]:
    """Every table holds the rows of the undisturbed run, and no others."""
    for one in compared:
        if one.differs:
            yield f"{when}, {one.table} differs: {len(one.missing)} rows are missing, {len(one.extra)} are too many"


def nothing_taken_is_lost(taken: Collection[str], kept: Collection[str]) -> Iterator[str]:
    """Every webhook that was answered by 200 is in the warehouse."""
    if lost := {*taken} - {*kept}:
        yield f"{len(lost)} of {len(taken)} webhooks were answered by 200 and are nowhere: {_some(lost)}"


def nothing_is_made_up(posted: Collection[str], kept: Collection[str]) -> Iterator[str]:
    """No webhook is in the warehouse that was never posted."""
    if strange := {*kept} - {*posted}:
        yield f"{len(strange)} webhooks are there that nobody has posted: {_some(strange)}"


def nothing_settled_is_lost(
    queue: str, passed: Collection[tuple[str, str]], seen: Mapping[str, Sequence[tuple[str, bool]]], left: int
) -> Iterator[str]:
    """The queue is empty, and of every message that was in it the ledger knows, by the queue's own word.

    It knows the version that was named, or a newer one: who looks later finds that. `seen` has the versions of each
    object, the oldest first, and whether the queue told of them; it must know all that is in the bucket now.
    """
    if left:
        yield f"{queue}: {left} messages are left in the queue"
    lost = {uri for uri, version in passed if not _is_seen(version, seen.get(uri, ()))}
    if lost:
        yield f"{queue}: messages were settled, and the ledger does not have what they say of {len(lost)} objects: " + (
            _some(lost)
        )


def _is_seen(version: str, versions: Sequence[tuple[str, bool]]) -> bool:
    # One that is unknown was replaced before anybody looked.
    first = next((place for place, (known, _) in enumerate(versions) if known == version), 0)
    return any(is_seen for _, is_seen in versions[first:])


def all_were_killed(parts: Iterable[str], killed: Mapping[str, int]) -> Iterator[str]:
    """Every part died at least once, else the run proves nothing for it."""
    for part in parts:
        if not killed.get(part):
            yield f"the {part} was never killed: give it more --minutes or --kills"


def something_went_wrong(what: str, counts: Mapping[str, int]) -> Iterator[str]:
    """Some were dropped, doubled and late, else the run proves nothing for that."""
    for fate, count in counts.items():
        if not count:
            yield f"none of the {what} was {fate}: give it more --sessions"


def _some(those: Collection[str]) -> str:
    named = sorted(those)[:_NAMED]
    return ", ".join(named) + (", …" if len(those) > len(named) else "")
