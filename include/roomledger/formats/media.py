"""The row that every loaded object has, media or text, from its key and its listing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from roomledger.model import Asset, ObjectAsset


def object_asset(asset: Asset) -> ObjectAsset:
    """Return the `object_assets` row of an object."""
    return ObjectAsset(
        ordinal=0,
        asset_type=asset.asset_type,
        uri=asset.uri,
        size_bytes=asset.size_bytes,
        created_at=asset.modified_at,
        peer_id=asset.peer_id,
        stream_id=asset.stream_id,
        track_id=asset.track_id,
        layer=asset.layer,
        output_mode=asset.output_mode,
    )


def parse(content: Iterable[bytes], asset: Asset) -> Iterator[ObjectAsset]:
    """Yield the only record of a media file, without reading its bytes."""
    yield object_asset(asset)
