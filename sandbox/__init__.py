"""Real local servers and invented recordings: everything a try-out needs, without an account anywhere."""
