"""The notification configuration of an S3 bucket, with our entries merged into those of others.

S3 has one configuration per bucket, replaces it as a whole, and sends an event of an object to one destination only:
two entries may share an event type only if their prefixes or suffixes exclude each other (AWS manual).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from roomledger.provisioning import CannotConfigure, Document, Step

_DESTINATIONS = {
    "QueueConfigurations": "QueueArn",
    "TopicConfigurations": "TopicArn",
    "LambdaFunctionConfigurations": "LambdaFunctionArn",
}
_EVENTBRIDGE = "EventBridgeConfiguration"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One entry for any kind of destination, in a form that can be compared."""

    id: str
    kind: str
    arn: str
    events: frozenset[str]
    prefix: str
    suffix: str
    document: Document = field(compare=False)

    def __str__(self) -> str:
        keys = f"keys {self.prefix}…{self.suffix}" if self.prefix or self.suffix else "all keys"
        return f"notification {self.id} ({', '.join(sorted(self.events))} of {keys} to {self.arn})"


def merge(
    bucket: str, current: Mapping[str, Any], wanted: Document, own_ids: Collection[str]
) -> tuple[Document, list[Step]]:
    """Return the configuration to write, and its changes; entries whose Id is in `own_ids` are replaced.

    Raises `CannotConfigure` when an entry of somebody else receives the same events.
    """
    foreign = [entry for entry in _entries(current) if entry.id not in own_ids]
    own = {entry.id: entry for entry in _entries(current) if entry.id in own_ids}
    entries, steps = list(foreign), []
    for entry in _entries(wanted):
        before = own.pop(entry.id, None)
        if before != entry and (wider := next((other for other in foreign if _covers(other, entry)), None)):
            steps.append(Step(before is not None, f"bucket {bucket}: already covered by {wider}"))
            continue
        if before != entry:
            _refuse_overlaps(bucket, entry, foreign)
        replaced = f", replaces {before}" if before not in (None, entry) else ""
        steps.append(Step(before != entry, f"bucket {bucket}: {entry}{replaced}"))
        entries.append(entry)
    steps += [Step(True, f"bucket {bucket}: removed {entry}") for entry in own.values()]
    merged: Document = {}
    for entry in entries:
        merged.setdefault(entry.kind, []).append(entry.document)
    if _EVENTBRIDGE in wanted:
        steps.append(Step(_EVENTBRIDGE not in current, f"bucket {bucket}: all events to EventBridge"))
    if _EVENTBRIDGE in wanted or _EVENTBRIDGE in current:
        merged[_EVENTBRIDGE] = {}
    return merged, steps


def _refuse_overlaps(bucket: str, entry: _Entry, foreign: list[_Entry]) -> None:
    overlaps = [other for other in foreign if _overlap(entry, other)]
    if not overlaps:
        return
    topics = [other.arn.rpartition(":")[2] for other in overlaps if other.kind == "TopicConfigurations"]
    ways_out = ["use EventBridge, which S3 notifies in addition (--via eventbridge)"]
    ways_out += [f"subscribe to the existing topic (--via sns --topic {topic})" for topic in topics]
    ways_out.append("remove it or narrow its prefix, and run this again")
    raise CannotConfigure(
        f"bucket {bucket} has {' and '.join(map(str, overlaps))}, which receives events of "
        f"{entry.prefix or 'all keys'}, and S3 sends each event to one destination only. Nothing was changed. Either "
        f"{', or '.join(ways_out)}"
    )


def _entries(configuration: Mapping[str, Any]) -> Iterator[_Entry]:
    for kind, key in _DESTINATIONS.items():
        for entry in configuration.get(kind, ()):
            rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            filters = {rule["Name"].lower(): rule.get("Value", "") for rule in rules}
            prefix, suffix = filters.get("prefix", ""), filters.get("suffix", "")
            yield _Entry(entry.get("Id", ""), kind, entry[key], frozenset(entry["Events"]), prefix, suffix, entry)


def _covers(other: _Entry, entry: _Entry) -> bool:
    """Whether `other` already sends all events of `entry` to the same destination."""
    events = all(any(_includes(wider, event) for wider in other.events) for event in entry.events)
    return other.arn == entry.arn and events and entry.prefix.startswith(other.prefix) and not other.suffix


def _overlap(ours: _Entry, other: _Entry) -> bool:
    """Whether S3 would refuse both entries together; ours has no suffix, so a suffix cannot separate them."""
    events = any(_includes(a, b) or _includes(b, a) for a in ours.events for b in other.events)
    return events and (ours.prefix.startswith(other.prefix) or other.prefix.startswith(ours.prefix))


def _includes(wider: str, event: str) -> bool:
    """Whether an event type includes another, as `s3:ObjectCreated:*` includes `s3:ObjectCreated:Put`."""
    return event == wider or (wider.endswith("*") and event.startswith(wider[:-1]))
