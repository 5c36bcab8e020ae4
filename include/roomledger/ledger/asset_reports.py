"""What the vendor reports of assets: of the object at an address, and of assets that no bucket may hold.

Several records and events may report one asset: which of them count is decided here, from records and events alone.
"""

from __future__ import annotations

from roomledger.ledger.database import Staged, stage_query
from roomledger.ledger.publications import Publication
from roomledger.ledger.tables.resolved import asset_reports, object_reports


def record_of_address(uris: str) -> str:
    """Build the SELECT of one API record per address: completed ones first, then the newest.

    `uris` is a SELECT of addresses.
    """
    return f"""
        SELECT DISTINCT ON (customer, uri) customer, uri, asset_id, job_id, room_id, session_id, asset_type
        FROM asset_records WHERE uri IN ({uris})
        ORDER BY customer, uri, CASE WHEN status = 'completed' THEN 0 ELSE 1 END, created_at DESC NULLS LAST,
                 asset_id DESC
    """


def event_of_address(uris: str) -> str:
    """Build the SELECT of one webhook per address: those with a session first, then completed assets, then the last.

    `uris` is a SELECT of addresses.
    """
    return f"""
        SELECT DISTINCT ON (assets.customer, uri) assets.customer, uri, asset_id, assets.event_id, assets.room_id,
               assets.session_id, asset_type, COALESCE(assets.started_at, recordings.started_at) AS started_at
        FROM event_assets AS assets
        LEFT JOIN event_recordings AS recordings
            ON recordings.recording_id = assets.recording_id AND recordings.customer = assets.customer
        WHERE uri IN ({uris})
        ORDER BY assets.customer, uri, CASE WHEN assets.session_id IS NULL THEN 1 ELSE 0 END,
                 CASE assets.status WHEN 'completed' THEN 0 WHEN 'failed' THEN 1 ELSE 2 END,
                 occurred_at DESC NULLS LAST, assets.event_id DESC, assets.ordinal DESC,
                 recordings.started_at NULLS LAST
    """


def add_reports(publication: Publication, named: Staged) -> None:
    """Publish what is reported of these addresses and assets (`uri`, `asset_id`; one of them may be null)."""
    tx = publication.tx
    uris = stage_query(tx, _URIS.format(named=named), "report_uris")
    ids = stage_query(tx, _IDS.format(named=named, uris=uris), "report_ids")
    mine = f"uri IN (SELECT uri FROM {uris})"
    publication.replace(object_reports, _OBJECT_REPORTS.format(uris=f"SELECT uri FROM {uris}"), mine)
    known = stage_query(tx, _KNOWN.format(ids=ids), "known_assets")
    publication.replace(
        asset_reports,
        _ASSET_REPORTS.format(uris=uris, ids=ids, known=known),
        f"report_key IN ({_REPORT_KEYS.format(uris=uris, ids=ids)})",
    )


# What is reported of an asset may change with every record and event that shares its address or its id.
_URIS = """
SELECT uri FROM {named} WHERE uri IS NOT NULL
UNION SELECT uri FROM asset_records WHERE uri IS NOT NULL AND asset_id IN (SELECT asset_id FROM {named})
UNION SELECT uri FROM event_assets WHERE uri IS NOT NULL AND asset_id IN (SELECT asset_id FROM {named})
"""
_IDS = """
SELECT asset_id FROM {named} WHERE asset_id IS NOT NULL
UNION SELECT asset_id FROM asset_records WHERE uri IN (SELECT uri FROM {uris})
UNION SELECT asset_id FROM event_assets WHERE asset_id IS NOT NULL AND uri IN (SELECT uri FROM {uris})
"""
_REPORT_KEYS = f"""
SELECT 'asset ' || asset_id FROM {{ids}}
UNION SELECT report_key FROM {asset_reports.fullname}
      WHERE report_key LIKE 'id %' AND asset_id IN (SELECT asset_id FROM {{ids}})
UNION SELECT report_key FROM {asset_reports.fullname}
      WHERE report_key LIKE 'uri %' AND uri IN (SELECT uri FROM {{uris}})
"""

# Of several events that name one asset: a final one first, then the last.
_LAST = """CASE status WHEN 'completed' THEN 0 WHEN 'failed' THEN 1 ELSE 2 END, occurred_at DESC NULLS LAST,
           event_id DESC, ordinal DESC, source DESC"""


def _last_event_of_address(uris: str) -> str:
    return f"""
        SELECT DISTINCT ON (customer, uri) * FROM event_assets WHERE uri IN ({uris}) ORDER BY customer, uri, {_LAST}
    """


def _last_event_of_id(ids: str) -> str:
    return f"""
        SELECT DISTINCT ON (customer, asset_id) * FROM event_assets WHERE asset_id IN ({ids})
        ORDER BY customer, asset_id, CASE WHEN uri IS NULL THEN 1 ELSE 0 END, {_LAST}
    """


def _filled(names: str) -> str:
    """Columns of the API, with the gaps filled by the event."""
    return ", ".join(f"COALESCE(api.{name}, event.{name}) AS {name}" for name in names.split())


_MEDIA = "peer_id user_id stream_id stream_type track_id track_type width height layer num_layers output_mode"
_STATUS = """
    COALESCE(CASE WHEN api.status IN ('completed', 'failed') THEN api.status END, event.status, api.status) AS status
"""
_ERRORS = """
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN event.error_type END AS error_type,
    CASE WHEN api.status IS DISTINCT FROM 'completed' THEN event.error_message END AS error_message
"""
_SEEN_FIRST = """
    CASE WHEN event.ingested_at < api.first_seen_at OR api.first_seen_at IS NULL THEN event.ingested_at
         ELSE api.first_seen_at END AS first_seen_at,
    CASE WHEN event.ingested_at < api.first_seen_at OR api.first_seen_at IS NULL THEN 'webhook'
         ELSE api.first_seen_by END AS first_seen_by
"""

_OBJECT_REPORTS = f"""
WITH records AS ({record_of_address("{uris}")}),
named AS ({event_of_address("{uris}")}),
event AS ({_last_event_of_address("{uris}")}),
places AS (SELECT customer, uri FROM records UNION SELECT customer, uri FROM event)
SELECT places.customer, places.uri, {_filled("asset_type")}, api.raw_type, {_STATUS},
       {_filled("size_bytes duration_s created_at")}, api.job_id, event.recording_id, {_filled(_MEDIA)}, api.metadata,
       {_filled("thumbnails")}, {_ERRORS}, {_SEEN_FIRST}
FROM places
LEFT JOIN records ON records.customer = places.customer AND records.uri = places.uri
LEFT JOIN named ON named.customer = places.customer AND named.uri = places.uri
LEFT JOIN event ON event.customer = places.customer AND event.uri = places.uri
LEFT JOIN asset_records AS api ON api.asset_id = COALESCE(records.asset_id, named.asset_id)
"""

# An asset has an id before it has an address: the event with the address may arrive before the next poll.
_KNOWN = f"""
SELECT api.asset_id, api.customer, COALESCE(api.uri, by_id.uri) AS uri
FROM asset_records AS api
LEFT JOIN ({_last_event_of_id("SELECT asset_id FROM {ids}")}) AS by_id
    ON by_id.asset_id = api.asset_id AND by_id.customer = api.customer
WHERE api.asset_id IN (SELECT asset_id FROM {{ids}})
"""


def _alone(prefix: str, names: str) -> str:
    return ", ".join(f"{prefix}.{name}" for name in names.split())


_PLAIN = "size_bytes duration_s created_at"
_ASSET_REPORTS = f"""
WITH by_uri AS ({_last_event_of_address("SELECT uri FROM {known} UNION SELECT uri FROM {uris}")}),
by_id AS ({_last_event_of_id("SELECT asset_id FROM {ids}")}),
event AS (
    SELECT known.asset_id AS known_id, by_uri.* FROM {{known}} AS known
    JOIN asset_records AS api ON api.asset_id = known.asset_id AND api.uri IS NOT NULL
    JOIN by_uri ON by_uri.uri = api.uri AND by_uri.customer = api.customer
    UNION ALL
    SELECT known.asset_id, by_id.* FROM {{known}} AS known
    JOIN asset_records AS api ON api.asset_id = known.asset_id AND api.uri IS NULL
    JOIN by_id ON by_id.asset_id = api.asset_id AND by_id.customer = api.customer
), only_events AS (
    SELECT 'uri ' || customer || ' ' || uri AS report_key, * FROM by_uri
    WHERE uri IN (SELECT uri FROM {{uris}})
    UNION ALL
    SELECT 'id ' || customer || ' ' || asset_id, * FROM by_id WHERE uri IS NULL
)
SELECT 'asset ' || api.asset_id AS report_key, api.customer, api.source, api.room_id, api.session_id,
       CASE WHEN api.session_id IS NULL THEN 'none' ELSE 'asset_record' END AS session_evidence,
       api.asset_id, known.uri, api.asset_type, api.raw_type, {_STATUS}, {_alone("api", _PLAIN)}, api.job_id,
       event.recording_id, {_alone("api", _MEDIA)}, api.metadata, api.thumbnails, {_ERRORS}, {_SEEN_FIRST},
       TRUE AS is_from_api
FROM {{known}} AS known
JOIN asset_records AS api ON api.asset_id = known.asset_id
LEFT JOIN event ON event.known_id = api.asset_id
UNION ALL
SELECT event.report_key, event.customer, event.source, event.room_id, event.session_id,
       CASE WHEN event.session_id IS NULL THEN 'none' ELSE 'webhook' END,
       event.asset_id, event.uri, event.asset_type, CAST(NULL AS TEXT), event.status, {_alone("event", _PLAIN)},
       CAST(NULL AS TEXT), event.recording_id, {_alone("event", _MEDIA)}, NULL, event.thumbnails, event.error_type,
       event.error_message, event.ingested_at, 'webhook', FALSE
FROM only_events AS event
WHERE NOT EXISTS (SELECT 1 FROM asset_records AS api WHERE api.uri = event.uri AND api.customer = event.customer)
  AND NOT EXISTS (
      SELECT 1 FROM asset_records AS api WHERE api.asset_id = event.asset_id AND api.customer = event.customer
  )
"""
