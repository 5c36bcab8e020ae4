"""A fortnight of two invented customers: every object of their buckets, and what a load of all of it must show.

`generate(seed)` is pure: the same seed gives the same bytes on every machine. What must come out is counted while the
files are written, from what was meant, and never by reading them back, so that it can judge the parsers.
"""

from demo.world.generate import MINIMUM_SESSIONS, generate
from demo.world.model import (
    Bucket,
    Expected,
    Job,
    Message,
    Outcome,
    Peer,
    Section,
    Sentence,
    Session,
    Showcase,
    World,
    WorldObject,
    digest,
    expect,
)

__all__ = [
    "MINIMUM_SESSIONS",
    "Bucket",
    "Expected",
    "Job",
    "Message",
    "Outcome",
    "Peer",
    "Section",
    "Sentence",
    "Session",
    "Showcase",
    "World",
    "WorldObject",
    "digest",
    "expect",
    "generate",
]
