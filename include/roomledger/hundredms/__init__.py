"""The vendor, 100ms: its REST API, its webhooks and its own storage. No database."""

from __future__ import annotations

from datetime import timedelta

RETENTION = timedelta(days=15)
"""The vendor deletes assets in its own storage after this time (vendor documentation)."""
