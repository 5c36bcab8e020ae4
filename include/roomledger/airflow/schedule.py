"""What the DAGs share: the assets that schedule them, and how tasks are retried. Light: it is read at every parse."""

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

# Plain names: for an address with a scheme Airflow imports every provider that knows some, at each parse.
NEW_OBJECTS = Asset("roomledger_new_objects", group="roomledger")
"""Updated by anything that knows of new objects: collect runs at once."""
PENDING_LOADS = Asset("roomledger_pending_loads", group="roomledger")
"""Updated by collect when the ledger is up to date: load runs."""


def notifications() -> Asset:
    """The asset that is updated when something waits in a queue of the settings, or in the inbox: listen runs.

    One watcher for each queue, however many sources it serves; none while the settings cannot be read.
    """
    try:
        names = queue_names(settings.from_environment())
    except settings.SettingsError:
        names = []  # collect fails on the same settings and says what is wrong
    watchers = [AssetWatcher(name=f"roomledger_{name}", trigger=QueueTrigger(name)) for name in names]
    return Asset("roomledger_notifications", group="roomledger", watchers=watchers)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "retry_policy": ExceptionRetryPolicy(
        # These wait for a person: trying again would only hide them for a while.
        [RetryRule(["roomledger.settings.SettingsError", "roomledger.model.BatchRefused"], RetryAction.FAIL)]
    ),
}


def on_update_and_every_quarter(asset: Asset) -> AssetOrTimeSchedule:
    """At once when the asset is updated, and every 15 minutes in case it was not."""
    # A new installation waits for the asset or the next quarter: with False it would run that of up to 5 minutes ago.
    every_quarter = CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=timedelta(0))
    return AssetOrTimeSchedule(timetable=every_quarter, assets=[asset])
