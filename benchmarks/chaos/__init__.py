"""Chaos: faults in the notifications and processes of a whole installation, and a check that no data is lost."""
