"""A fortnight of two invented customers: their buckets, what the vendor says of them, and what a load must show.

`generate(seed)` is pure: the same seed gives the same bytes on every machine. What must come out is counted while the
files are written, from what was meant, and never by reading them back, so that it can judge the parsers.
"""

from sandbox.dataset.expected import Expected, Showcase, World, expect
from sandbox.dataset.generate import MINIMUM_SESSIONS, generate
from sandbox.dataset.model import (
    Bucket,
    Job,
    Message,
    Outcome,
    Peer,
    Section,
    Sentence,
    Session,
    WorldObject,
    digest,
)
from sandbox.dataset.workspace import CANARIES, Workspace

__all__ = [
    "CANARIES",
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
    "Workspace",
    "World",
    "WorldObject",
    "digest",
    "expect",
    "generate",
]
