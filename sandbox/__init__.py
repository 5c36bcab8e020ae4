"""Everything that simulates the real world: local servers, a 100ms API, and an invented dataset, without accounts."""
