"""Questions to the warehouse, which change nothing: how things are, where a row comes from, what auditors ask."""
