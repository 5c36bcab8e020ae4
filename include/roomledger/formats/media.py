"""Recording assets: the row that every asset has, media or text, from what its key and the listing say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roomledger.model import Asset, RecordingAsset


def asset_record(asset: Asset) -> RecordingAsset:
    """Give the `recording_assets` row of an object in a bucket; what only the vendor knows stays null.

    Its status is `completed` because the object is there, and it was created when the object was written.
    """
    return RecordingAsset(
        ordinal=0,
        asset_type=asset.asset_type,
        raw_type=None,
        uri=asset.uri,
        status="completed",
        size_bytes=asset.size_bytes,
        duration_s=None,
        created_at=asset.modified_at,
        asset_id=None,
        job_id=None,
        peer_id=asset.peer_id,
        user_id=None,
        stream_id=asset.stream_id,
        stream_type=None,
        track_id=asset.track_id,
        track_type=None,
        width=None,
        height=None,
        layer=asset.layer,
        output_mode=asset.output_mode,
        metadata=None,
        thumbnails=None,
    )


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[RecordingAsset]:
    """Give the one record of a media file, whose bytes are never asked for."""
    yield asset_record(asset)
