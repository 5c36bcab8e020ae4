SELECT
    ledger.customer, ledger.source, ledger.session_id, ledger.object_id, ledger.uri, ledger.asset_type,
    ledger.first_load_id AS load_id,
    ledger.modified_at AS written_at, ledger.first_seen_at AS seen_at, ledger.first_seen_by AS seen_by,
    loads.claimed_at, loads.committed_at AS queryable_at,
    CAST(extract(epoch FROM ledger.first_seen_at - ledger.modified_at) AS DOUBLE PRECISION) AS seen_after_s,
    CAST(extract(epoch FROM loads.claimed_at - ledger.modified_at) AS DOUBLE PRECISION) AS claimed_after_s,
    CAST(extract(epoch FROM loads.committed_at - ledger.modified_at) AS DOUBLE PRECISION) AS queryable_after_s
FROM object_ledger AS ledger
JOIN loads ON loads.load_id = ledger.first_load_id
