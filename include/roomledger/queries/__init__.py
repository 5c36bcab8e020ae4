"""Read-only queries: the status of the warehouse, the lineage of an object, and audits."""
