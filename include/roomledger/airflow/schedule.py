"""What the DAGs share: the assets that ring them and how tasks are tried again. Light: it is read at every parse."""

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
BELL = Asset("roomledger_bell", group="roomledger")
"""Rung by whoever knows of new objects: collect looks at once."""
LEDGER = Asset("roomledger_ledger", group="roomledger")
"""Rung by collect when the ledger is up to date: load takes over."""


def queues() -> Asset:
    """The asset that rings when something waits in a queue of the settings, or in the inbox: the DAG listen drains it.

    One watcher for each queue, however many sources it serves; none while the settings cannot be read.
    """
    try:
        names = queue_names(settings.from_environment())
    except settings.SettingsError:
        names = []  # collect fails on the same settings and says what is wrong with them
    watchers = [AssetWatcher(name=f"roomledger_{name}", trigger=QueueTrigger(name)) for name in names]
    return Asset("roomledger_queues", group="roomledger", watchers=watchers)


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "retry_policy": ExceptionRetryPolicy(
        # These wait for a person: trying again would only hide them for a while.
        [RetryRule(["roomledger.settings.SettingsError", "roomledger.model.BatchRefused"], RetryAction.FAIL)]
    ),
}


def now_and_then(subscription: Asset) -> AssetOrTimeSchedule:
    """At once when the bell rings, and every 15 minutes in case it did not."""
    # A new installation waits for the bell or the next quarter; with False it would run the one of up to 5 minutes ago.
    every_quarter = CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=timedelta(0))
    return AssetOrTimeSchedule(timetable=every_quarter, assets=[subscription])
