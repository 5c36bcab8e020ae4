"""Settings of one source, a folder, with a DuckDB file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from roomledger.ledger.database import Database


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "bucket").mkdir()
    path = tmp_path / "roomledger.toml"
    path.write_text(
        f'[warehouse]\nurl = "duckdb:///warehouse.duckdb"\n[[source]]\nname = "acme"\ncustomer = "Acme"\n'
        f'url = "file://{tmp_path}/bucket"\n'
    )
    return path


@pytest.fixture
def ready_config(config: Path, ready_duckdb: Callable[[Path], Database]) -> Path:
    """The same after `roomledger init`, which takes more than a second."""
    ready_duckdb(config.parent)
    return config
