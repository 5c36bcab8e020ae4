"""The vendor's REST API as a witness: what 100ms says of its rooms, sessions, recordings and their assets."""
