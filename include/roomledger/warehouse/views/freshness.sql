-- The ledger names the load that settled a version last, which a replay that brought no rows does, too. The rows name
-- the one that brought them; where a newer version took their place, the ledger does if its load is of that time.
SELECT
    ledger.customer, ledger.source, ledger.session_id, ledger.object_id, ledger.uri, ledger.asset_type, loads.load_id,
    ledger.modified_at AS written_at, ledger.first_seen_at AS seen_at, ledger.first_seen_by AS seen_by,
    loads.claimed_at, ledger.loaded_at AS queryable_at,
    CAST(extract(epoch FROM ledger.first_seen_at - ledger.modified_at) AS DOUBLE PRECISION) AS seen_after_s,
    CAST(extract(epoch FROM loads.claimed_at - ledger.modified_at) AS DOUBLE PRECISION) AS claimed_after_s,
    CAST(extract(epoch FROM ledger.loaded_at - ledger.modified_at) AS DOUBLE PRECISION) AS queryable_after_s
FROM object_ledger AS ledger
LEFT JOIN object_assets AS held ON held.object_id = ledger.object_id AND held.ordinal = 0
LEFT JOIN loads ON loads.load_id = COALESCE(held.load_id, ledger.load_id) AND loads.committed_at = ledger.loaded_at
WHERE ledger.loaded_at IS NOT NULL
