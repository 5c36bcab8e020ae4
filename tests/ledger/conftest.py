"""A warehouse that receives records, events and listings: within one transaction, or with a bucket beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Connection

from roomledger.ledger.database import Database
from tests.ledger.inputs import Ledger, Run


@pytest.fixture
def acme(shared: Database, tx: Connection) -> Ledger:
    return Ledger(tx, shared)


@pytest.fixture
def run(ready: Database, tmp_path: Path) -> Run:
    return Run(ready, tmp_path / "bucket")
