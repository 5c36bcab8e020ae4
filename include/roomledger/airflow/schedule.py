"""What the DAGs share: the assets that schedule them, and retries. Imported at every parse, so it must be light."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    AssetWatcher,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
)

from roomledger import settings
from roomledger.airflow.triggers import QueueTrigger
from roomledger.settings import queue_names

# Names without a scheme: for a URI Airflow imports every provider that has a handler, at each parse.
NEW_OBJECTS = Asset("roomledger_new_objects", group="roomledger")
"""To be updated by anything that writes objects: collect runs at once."""
PENDING_LOADS = Asset("roomledger_pending_loads", group="roomledger")
"""Updated by collect when it has recorded a source: load runs."""


def notifications() -> Asset:
    """Return the asset that is updated when messages wait in a queue of the settings, or in the inbox: listen runs.

    It has one watcher per queue, for any number of sources; none while the settings are invalid.
    """
    try:
        names = queue_names(settings.from_environment())
    except settings.SettingsError:
        names = []  # collect fails with the same error and names the problem
    watchers = [AssetWatcher(name=f"roomledger_{name}", trigger=QueueTrigger(name)) for name in names]
    return Asset("roomledger_notifications", group="roomledger", watchers=watchers)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "retry_policy": ExceptionRetryPolicy(
        # A person has to correct these: a retry would only delay the failure.
        [RetryRule(["roomledger.settings.SettingsError", "roomledger.model.BatchRefused"], RetryAction.FAIL)]
    ),
}


def on_update_and_every_quarter(asset: Asset) -> AssetOrTimeSchedule:
    """Run at once when the asset is updated, and every 15 minutes in any case."""
    # A new installation waits for the asset or the next quarter; False would run it at once, up to 5 minutes after one.
    every_quarter = CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=timedelta(0))
    return AssetOrTimeSchedule(timetable=every_quarter, assets=[asset])
