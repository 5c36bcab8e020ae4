"""Two invented weeks of two customers: buckets, records of the vendor's API, and the expected counts after a load.

`generate(seed)` is pure: the same seed gives the same bytes on every machine. Expected counts are added up while the
files are generated, and never by parsing them. So they can verify the parsers.
"""

from sandbox.dataset.expected import Dataset, Expected, expect
from sandbox.dataset.generate import MINIMUM_SESSIONS, generate
from sandbox.dataset.model import Bucket, DatasetObject, digest
from sandbox.dataset.workspace import CANARIES, Workspace

__all__ = [
    "CANARIES",
    "MINIMUM_SESSIONS",
    "Bucket",
    "Dataset",
    "DatasetObject",
    "Expected",
    "Workspace",
    "digest",
    "expect",
    "generate",
]
