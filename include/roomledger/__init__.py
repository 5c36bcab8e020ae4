"""Roomledger: 100ms recordings from object stores into warehouse tables, exactly once and provably."""

from __future__ import annotations

from roomledger.runtime import open_runtime
from roomledger.settings import Settings, SettingsError, Source

__all__ = ["Settings", "SettingsError", "Source", "open_runtime"]
