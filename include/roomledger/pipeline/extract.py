"""Extract one claimed version: its bytes through the parser of its type into the staging files.

Every result is an `Outcome`; nothing is raised. It runs in many threads and does not access the database.
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import chain

from roomledger.formats import PARSERS
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

RAW_LIMIT = 16 << 20
"""Bytes of a refused file that are stored in the warehouse."""
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
        where = traceback.format_exception_only(error)[-1].strip()
        problem = Rejected("parser_failed", f"{where}: a bug of the parser; report it, then replay the object")
        return _refused(claim, asset, problem, reader, staging, refused_content, now)


def _classified(claim: Claim) -> Asset | Ignored:
    """Give the asset of the ledger; a replay, and a key without a type, are classified again."""
    if claim.replay or claim.asset.asset_type == UNKNOWN:
        return recognise(claim.seen, claim.named_type)
    return claim.asset


def _text(claim: Claim, source: Source, asset: Asset, pieces: Iterable[bytes], staging: StagingFiles) -> Outcome:
    content = _Digest(pieces)
    whole: Iterator[bytes] = content
    if asset.asset_type == UNKNOWN or (claim.named_type and asset.output_mode is None):
        head, whole = _peek(content)
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
    counted = refused = flushed = 0
    buffered: list[Record | Refusal] = []
    for record in PARSERS[asset.asset_type](content, asset):
        buffered.append(record)
        if isinstance(record, Refusal):
            refused += 1
        elif not isinstance(record, _HEADERS):
            counted += 1
        if len(buffered) >= _FLUSH_RECORDS or digest.size - flushed > _FLUSH_BYTES:
            staging.add(claim.object_id, buffered, flush=digest.size - flushed > _FLUSH_BYTES)
            flushed = digest.size
            buffered.clear()
    for _ in content:
        pass  # the digest covers the whole object, even if the parser stops early
    staging.add(claim.object_id, buffered)
    return Outcome(
        claim=claim,
        disposition="loaded",
        reason="loaded: all of it was read" if not refused else f"loaded: {refused} of its records were refused",
        asset=asset,
        rows_parsed=counted + refused,
        rows_refused=refused,
        content_sha256=digest.hexdigest(),
    )


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
