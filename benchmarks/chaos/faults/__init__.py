"""The faults: dropped, duplicated, delayed and late notifications and webhooks, and killed processes."""
