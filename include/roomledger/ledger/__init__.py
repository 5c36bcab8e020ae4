"""The ledger, which is the queue: every object version anybody has seen, its disposition, and what is to be done."""
