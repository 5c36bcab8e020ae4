"""A bucket's notification configuration with ours in it: what others have there stays, or is told to stand in the way.

S3 has one configuration for a bucket, replaces it as a whole, and tells one event of an object to one place only: two
entries may share a type of event only where their prefixes, or their suffixes, exclude each other (AWS manual).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roomledger.provisioning import CannotConfigure, Document, Step

_KINDS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
_EVENTBRIDGE = "EventBridgeConfiguration"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry, whatever it rings, in a form that two of them can be compared by."""

    id: str
    kind: str
    arn: str
    events: frozenset[str]
    prefix: str
    suffix: str
    written: Document = field(compare=False)

    def __str__(self) -> str:
        keys = f"keys {self.prefix}…{self.suffix}" if self.prefix or self.suffix else "all keys"
        return f"notification {self.id} ({', '.join(sorted(self.events))} of {keys} to {self.arn})"


def merge(
    bucket: str, found: Mapping[str, Any], wanted: Document, ours: Collection[str]
) -> tuple[Document, list[Step]]:
    """The configuration to write, and what changes by it; entries whose Id is among `ours` are replaced.

    Raises `CannotRing` when an entry of somebody else takes the same events.
    """
    theirs = [entry for entry in _entries(found) if entry.id not in ours]
    stand = {entry.id: entry for entry in _entries(found) if entry.id in ours}
    entries, steps = list(theirs), []
    for entry in _entries(wanted):
        before = stand.pop(entry.id, None)
        if before != entry and (by := next((other for other in theirs if _covers(other, entry)), None)):
            steps.append(Step(before is not None, f"bucket {bucket}: rings by {by} already"))
            continue
        if before != entry:
            _refuse_overlaps(bucket, entry, theirs)
        instead = f", instead of {before}" if before not in (None, entry) else ""
        steps.append(Step(before != entry, f"bucket {bucket}: {entry}{instead}"))
        entries.append(entry)
    steps += [Step(True, f"bucket {bucket}: no more {entry}") for entry in stand.values()]
    merged: Document = {}
    for entry in entries:
        merged.setdefault(entry.kind, []).append(entry.written)
    if _EVENTBRIDGE in wanted:
        steps.append(Step(_EVENTBRIDGE not in found, f"bucket {bucket}: all its events to EventBridge"))
    if _EVENTBRIDGE in wanted or _EVENTBRIDGE in found:
        merged[_EVENTBRIDGE] = {}
    return merged, steps


def _refuse_overlaps(bucket: str, entry: _Entry, others: list[_Entry]) -> None:
    in_the_way = [other for other in others if _overlap(entry, other)]
    if not in_the_way:
        return
    ways = ["ring through EventBridge, which S3 tells besides (--via eventbridge)"]
    ways += [
        f"hear of it from that topic (--via sns --topic {other.arn.rpartition(':')[2]})"
        for other in in_the_way
        if other.kind == "TopicConfigurations"
    ]
    ways.append("take it away, or narrow its prefix, and ring again")
    raise CannotConfigure(
        f"bucket {bucket} has {' and '.join(map(str, in_the_way))}, which takes events of {entry.prefix or 'all keys'} "
        f"too, and S3 tells one event of an object to one place only. Nothing was changed. Either {', or '.join(ways)}"
    )


def _entries(configuration: Mapping[str, Any]) -> Iterator[_Entry]:
    for kind, key in _KINDS.items():
        for one in configuration.get(kind, ()):
            rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            filters = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
            prefix, suffix = filters.get("prefix", ""), filters.get("suffix", "")
            yield _Entry(one.get("Id", ""), kind, one[key], frozenset(one["Events"]), prefix, suffix, one)


def _covers(other: _Entry, entry: _Entry) -> bool:
    """Whether all that `entry` would ring for rings there already, in the same place."""
    events = all(any(_is_in(event, wider) for wider in other.events) for event in entry.events)
    return other.arn == entry.arn and events and entry.prefix.startswith(other.prefix) and not other.suffix


def _overlap(ours: _Entry, other: _Entry) -> bool:
    """Whether S3 would refuse the two beside each other; ours takes any suffix, so no suffix keeps them apart."""
    events = any(_is_in(a, b) or _is_in(b, a) for a in ours.events for b in other.events)
    return events and (ours.prefix.startswith(other.prefix) or other.prefix.startswith(ours.prefix))


def _is_in(event: str, wider: str) -> bool:
    """Whether `s3:ObjectCreated:*` holds `s3:ObjectCreated:Put`, or an event itself."""
    return event == wider or (wider.endswith("*") and event.startswith(wider[:-1]))
