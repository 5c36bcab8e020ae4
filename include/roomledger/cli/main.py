"""The entry point: the commands of all modules, in the order of use."""

from __future__ import annotations

from roomledger.cli import audit, inspect, listen, notifications, pipeline
from roomledger.cli.app import app

app.registered_commands = [
    command
    for module in (pipeline, listen, inspect, audit)
    for command in app.registered_commands
    if command.callback and command.callback.__module__ == module.__name__
]
app.add_typer(notifications.app)
