"""The ledger: every object version anybody has seen, what became of it, and what is to be read next.

`note` takes in what a witness says, `mark_gone` what it no longer says, `claim` hands out work under a lease,
`renew` and `release` prolong and return it, `requeue` and `wake` put settled versions back. A load settles its claims
itself (`commit.py`), because the rows and the ledger change in one transaction. Each verb works on many versions at
once.
"""

from roomledger.ledger.claims import LEASE, MAX_ATTEMPTS, Claim, back_off, claim, release, renew, waiting
from roomledger.ledger.notes import mark_gone, note, present
from roomledger.ledger.replays import requeue, wake

__all__ = [
    "LEASE",
    "MAX_ATTEMPTS",
    "Claim",
    "back_off",
    "claim",
    "mark_gone",
    "note",
    "present",
    "release",
    "renew",
    "requeue",
    "waiting",
    "wake",
]
