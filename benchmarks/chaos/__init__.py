"""Chaos: a whole installation whose notices go astray and whose processes are killed, and what its tables hold then."""
