"""Extract one claimed version: its bytes through the parser of its type into the staging files.

Every result is an `Outcome`; nothing is raised. It runs in many threads and does not access the database.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain
from time import thread_time

from roomledger.formats import PARSERS
from roomledger.formats.chat import DOUBTFUL
from roomledger.formats.compression import unpack
from roomledger.formats.object_keys import recognise, recognise_content
from roomledger.ledger.claims import MAX_ATTEMPTS, Claim, retry_delay
from roomledger.ledger.outcome import Outcome
from roomledger.model import (
    MEDIA_TYPES,
    UNKNOWN,
    Asset,
    Ignored,
    Record,
    Refusal,
    Rejected,
    Summary,
    Transcript,
)
from roomledger.pipeline.staging import StagingFiles
from roomledger.settings import Source
from roomledger.stores import ObjectChanged, ObjectMissing, Reader, StoreError

log = logging.getLogger(__name__)

RAW_LIMIT = 16 << 20
"""Bytes of a refused file that are stored in the warehouse."""
PARSE_S, PARSE_S_PER_MIB = 60.0, 2.0
"""Processor time that a parser may take, of a small file and for each MiB of a larger one: hundreds of times the usual.
The last line of defence against content for which a parser is slow."""
ALL = 0.9
"""Share of its records from which a file counts as refused for the reason that they share."""
_MOST_NAMES = 10
_SNIFFED = 64 << 10
_FLUSH_BYTES = 8 << 20
_FLUSH_RECORDS = 2048

_HEADERS = (Transcript, Summary)
"""Rows of the file itself, which are not counted as records of a text file."""

RefusedContent = Callable[[str], bytes | None]
"""Gives the complete bytes of a refused version, by object id, if the warehouse has them."""


class _Digest:
    """Passes content through and computes its SHA-256 and length."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self._sha256 = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._content)
        self._sha256.update(piece)
        self.size += len(piece)
        return piece

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


def extract(
    claim: Claim,
    source: Source,
    reader: Reader,
    staging: StagingFiles,
    refused_content: RefusedContent,
    now: datetime,
) -> Outcome:
    """Read and parse one version; its records and refusals go to the staging files, the outcome to the ledger."""
    asset = _classified(claim)
    if isinstance(asset, Ignored):
        return Outcome(claim=claim, disposition="ignored", reason=asset.reason)
    if claim.named_mode and asset.asset_type == "transcript":
        asset = replace(asset, output_mode=claim.named_mode)
    if excluded := source.excludes(asset):  # the settings may have changed since it was observed
        return _ignored(claim, asset, excluded)
    if claim.replaces_tag and claim.replaces_tag == claim.seen.content_tag and not claim.replay:
        return _unchanged(claim, asset)
    if asset.asset_type in MEDIA_TYPES:
        reason = "loaded: the bytes of media are not read"
        return Outcome(claim=claim, disposition="loaded", reason=reason, asset=asset, rows_parsed=1)
    try:
        try:
            return _text(claim, source, asset, reader.read(claim.seen), staging)
        except (ObjectChanged, ObjectMissing):
            if not claim.replay or (content := refused_content(claim.object_id)) is None:
                raise
            return _text(claim, source, asset, [content], staging)
    except ObjectMissing:
        return Outcome(claim=claim, disposition="missing", reason="missing: the object did not exist when it was read")
    except ObjectChanged as error:
        again = _retry(claim, f"changed: {error}; the next listing records the new version", staging, now)
        return replace(again, is_changed=True)
    except Rejected as error:
        return _refused(claim, asset, error, reader, staging, refused_content, now)
    except StoreError as error:
        return _retry(claim, f"read_failed: {error}", staging, now)
    except Exception as error:
        # A bug of ours in one file must not stop its batch: the file is refused with its bytes and can be replayed.
        log.debug("cannot parse %s", claim.seen.uri, exc_info=error)
        problem = Rejected(
            "parser_failed",
            f"The parser failed ({type(error).__name__}), a bug of Roomledger: report it, then replay the object.",
        )
        return _refused(claim, asset, problem, reader, staging, refused_content, now)


def _classified(claim: Claim) -> Asset | Ignored:
    """Give the asset of the ledger; a replay, and a key without a type, are classified again."""
    if claim.replay or claim.asset.asset_type == UNKNOWN:
        return recognise(claim.seen, claim.named_type)
    return claim.asset


def _text(claim: Claim, source: Source, asset: Asset, pieces: Iterable[bytes], staging: StagingFiles) -> Outcome:
    content = _Digest(pieces)
    whole = unpack(content)
    if asset.asset_type == UNKNOWN or (claim.named_type and asset.output_mode is None):
        head, whole = _peek(whole)
        found = recognise_content(head, asset)
        if isinstance(found, Ignored):
            return _ignored(claim, asset, found.reason)
        if excluded := source.excludes(found):
            return _ignored(claim, found, excluded)
        asset = found
    outcome = _parsed(claim, asset, whole, staging, content)
    if outcome.content_sha256 == claim.replaces_sha256 and not claim.replay:
        return _unchanged(claim, asset, outcome.content_sha256)
    return outcome


def _ignored(claim: Claim, asset: Asset, reason: str) -> Outcome:
    """The ledger has no asset type for an ignored version, unless the vendor names it as an asset."""
    return Outcome(claim=claim, disposition="ignored", reason=reason, asset=asset if claim.named_type else None)


def _parsed(claim: Claim, asset: Asset, content: Iterable[bytes], staging: StagingFiles, digest: _Digest) -> Outcome:
    flushed = 0
    found = _Found()
    buffered: list[Record | Refusal] = []
    started = thread_time()
    for number, record in enumerate(PARSERS[asset.asset_type](content, asset), 1):
        buffered.append(record)
        found.add(record)
        if not number % 64 and thread_time() - started > PARSE_S + PARSE_S_PER_MIB * (digest.size >> 20):
            raise Rejected("timed_out", f"Reading it took more than {PARSE_S:.0f} s; report the file, then replay it.")
        if len(buffered) >= _FLUSH_RECORDS or digest.size - flushed > _FLUSH_BYTES:
            staging.add(claim.object_id, buffered, flush=digest.size - flushed > _FLUSH_BYTES)
            flushed = digest.size
            buffered.clear()
    for _ in chain(content, digest):
        pass  # the digest covers the whole object, even if the parser stops early
    staging.add(claim.object_id, buffered)
    return Outcome(
        claim=claim,
        disposition="loaded",
        reason=f"loaded: {found.summary()}",
        asset=asset,
        rows_parsed=found.loaded + found.refused,
        rows_refused=found.refused,
        refused_for=found.shared_reason(),
        is_doubtful=found.is_doubtful,
        content_sha256=digest.hexdigest(),
    )


class _Found:
    """What a parser found in a file: the counts of its records, and what of it was not understood."""

    def __init__(self) -> None:
        self.loaded = self.refused = 0
        self._reasons: Counter[str] = Counter()
        self._without_values = 0
        self._names: dict[str, None] = {}

    def add(self, record: Record | Refusal) -> None:
        if isinstance(record, Refusal):
            self._reasons[record.reason_code] += 1
            self.refused += not record.record_loaded
            self._without_values += record.record_loaded
            return
        if not isinstance(record, _HEADERS):
            self.loaded += 1
        if extra := getattr(record, "extra", None):
            self._names |= dict.fromkeys(json.loads(extra))

    @property
    def is_doubtful(self) -> bool:
        return any(reason in DOUBTFUL for reason in self._reasons)

    def summary(self) -> str:
        """Say in words what was not loaded, or not as it is in the file."""
        names = ", ".join(repr(name[:40]) for name in list(self._names)[:_MOST_NAMES])
        more = f" and {len(self._names) - _MOST_NAMES} more" if len(self._names) > _MOST_NAMES else ""
        parts = (
            self.refused and f"{self.refused} of its records were refused",
            self._without_values and f"something of {self._without_values} of its records was refused",
            self.is_doubtful and "since a record is broken, any of its messages may be a line of another one",
            names and f"not understood, but kept in extra: {names}{more}",
        )
        return "; ".join(part for part in parts if part) or "all of it was read"

    def shared_reason(self) -> str | None:
        """Give the reason for which all or nearly all records were refused, or values of them."""
        for reason, number in self._reasons.most_common(1):
            if number >= ALL * (self.loaded + self.refused):
                return reason
        return None


def _unchanged(claim: Claim, asset: Asset, sha256: str | None = None) -> Outcome:
    reason = "unchanged: the same bytes as the loaded version"
    return Outcome(claim=claim, disposition="unchanged", reason=reason, asset=asset, content_sha256=sha256)


def _retry(claim: Claim, reason: str, staging: StagingFiles, now: datetime) -> Outcome:
    if claim.attempts >= MAX_ATTEMPTS:
        detail = f"tried {claim.attempts} times; last: {reason}"
        staging.add(claim.object_id, [Refusal(0, "gave_up", detail, b"")])
        return Outcome(claim=claim, disposition="refused", reason=f"gave_up: {detail}")
    retry_at = now + retry_delay(claim.attempts)
    return Outcome(claim=claim, disposition="seen", reason=f"retry: {reason}", retry_at=retry_at)


def _refused(
    claim: Claim,
    asset: Asset,
    error: Rejected,
    reader: Reader,
    staging: StagingFiles,
    refused_content: RefusedContent,
    now: datetime,
) -> Outcome:
    try:
        raw, digest = _read_raw(reader.read(claim.seen))
    except (StoreError, ObjectChanged, ObjectMissing) as failure:
        if (content := refused_content(claim.object_id) if claim.replay else None) is None:
            return _retry(claim, f"read_failed: {failure}", staging, now)
        raw, digest = _read_raw([content])
    detail = (
        error.detail
        if digest.size <= RAW_LIMIT
        else f"{error.detail}; only the first of {digest.size} bytes are stored"
    )
    staging.add(claim.object_id, [Refusal(0, error.reason_code, detail, raw)], flush=True)
    return Outcome(
        claim=claim,
        disposition="refused",
        reason=f"{error.reason_code}: {error.detail}",
        asset=asset,
        content_sha256=digest.hexdigest(),
    )


def _read_raw(content: Iterable[bytes]) -> tuple[bytes, _Digest]:
    digest = _Digest(content)
    raw = bytearray()
    for piece in digest:
        raw += piece[: RAW_LIMIT - len(raw)]
    return bytes(raw), digest


def _peek(content: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Give the first bytes of the content, and all of it again."""
    head = bytearray()
    for piece in content:
        head += piece
        if len(head) >= _SNIFFED:
            break
    return bytes(head[:_SNIFFED]), chain([bytes(head)], content)
