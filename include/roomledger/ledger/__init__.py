"""The ledger: every observed object version with its disposition. It is also the queue of loads."""
