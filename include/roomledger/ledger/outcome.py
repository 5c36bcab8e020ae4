"""The outcome of a load: of each version that it claimed, and in total."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from roomledger.ledger.claims import Claim
from roomledger.ledger.observations import key_columns
from roomledger.ledger.tables.columns import arrow_schema
from roomledger.ledger.tables.ledger import object_ledger
from roomledger.model import Asset


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of reading one claimed version: its next disposition, with the counts."""

    claim: Claim
    disposition: str
    """loaded, refused, unchanged, ignored or missing; seen for a retry at `retry_at`."""
    reason: str
    asset: Asset | None = None
    rows_parsed: int = 0
    rows_refused: int = 0
    rows_duplicate: int = 0
    refused_for: str | None = None
    """The reason code for which all or nearly all records of a loaded version were refused, or values of them."""
    is_doubtful: bool = False
    """Its messages may be lines of other messages: see `chat.DOUBTFUL`."""
    content_sha256: str | None = None
    retry_at: datetime | None = None
    is_changed: bool = False
    """The object has another version by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One committed batch, with the counts of versions and records."""

    load_id: str
    objects: Mapping[str, int]
    """Versions by disposition."""
    rows_loaded: int = 0
    rows_refused: int = 0
    rows_duplicate: int = 0
    lost_claims: int = 0
    """Versions that another load claimed meanwhile: nothing was written for them."""

    @property
    def counts(self) -> Counter[str]:
        """`loads`, `objects`, `objects_<disposition>` (`objects_retried` for those to be retried) and `rows_…`."""
        retried = {"objects_retried": self.objects.get("seen", 0)}
        settled = {f"objects_{name}": number for name, number in self.objects.items() if name != "seen"}
        rows = {name: getattr(self, name) for name in ("rows_loaded", "rows_refused", "rows_duplicate")}
        return Counter({"loads": 1, "objects": sum(self.objects.values())} | settled | retried | rows)


_COLUMNS = {
    *("object_id", "uri", "disposition", "reason", "asset_type", "content_sha256", "retry_at"),
    *("rows_parsed", "rows_loaded", "rows_refused", "rows_duplicate"),
    *key_columns(None),
}
_SCHEMA = pa.schema(
    [
        *(field for field in arrow_schema(object_ledger) if field.name in _COLUMNS),
        pa.field("named_as", pa.string()),
        pa.field("is_changed", pa.bool_()),
        pa.field("is_reclassified", pa.bool_()),
    ]
)


def outcome_rows(outcomes: Sequence[Outcome]) -> pa.Table:
    """Give the outcomes as rows, named like the ledger columns that they change."""
    rows = [
        {
            "object_id": outcome.claim.object_id,
            "uri": outcome.claim.seen.uri,
            "disposition": outcome.disposition,
            "reason": outcome.reason,
            "asset_type": outcome.asset and outcome.asset.asset_type,
            **key_columns(outcome.asset),
            "rows_parsed": outcome.rows_parsed,
            "rows_loaded": outcome.rows_parsed - outcome.rows_refused - outcome.rows_duplicate,
            "rows_refused": outcome.rows_refused,
            "rows_duplicate": outcome.rows_duplicate,
            "content_sha256": outcome.content_sha256,
            "retry_at": outcome.retry_at,
            "named_as": outcome.claim.named_type,
            "is_changed": outcome.is_changed,
            "is_reclassified": outcome.asset != outcome.claim.asset,
        }
        for outcome in outcomes
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)
