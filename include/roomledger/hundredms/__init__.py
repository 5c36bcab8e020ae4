"""The vendor, 100ms: its REST API, its webhooks and its own storage. Nothing here knows a database."""

from __future__ import annotations

from datetime import timedelta

RETENTION = timedelta(days=15)
"""How long the vendor stores an asset without customer storage before it deletes it (vendor documentation)."""
