"""What the DAGs share: the assets that ring them and how tasks are tried again. Light: it is read at every parse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import (
    Asset,
    AssetOrTimeSchedule,
    CronTriggerTimetable,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
)

# Plain names: for an address with a scheme Airflow imports every provider that knows some, at each parse.
BELL = Asset("roomledger_bell", group="roomledger")
"""Rung by whoever knows of new objects: collect looks at once."""
LEDGER = Asset("roomledger_ledger", group="roomledger")
"""Rung by collect when the ledger is up to date: load takes over."""

RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "retry_policy": ExceptionRetryPolicy(
        # These wait for a person: trying again would only hide them for a while.
        [RetryRule(["roomledger.settings.SettingsError", "roomledger.model.BatchRefused"], RetryAction.FAIL)]
    ),
}


def now_and_then(bell: Asset) -> AssetOrTimeSchedule:
    """At once when the bell rings, and every 15 minutes in case it did not."""
    # A new installation waits for the bell or the next quarter; with False it would run the one of up to 5 minutes ago.
    every_quarter = CronTriggerTimetable("*/15 * * * *", timezone="UTC", run_immediately=timedelta(0))
    return AssetOrTimeSchedule(timetable=every_quarter, assets=[bell])
