"""Run the Pub/Sub emulator as a process."""

from __future__ import annotations

import argparse
import threading

from sandbox.servers.pubsub.server import HOST, pubsub_server


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description="A Google Pub/Sub emulator in memory.")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8085)
    metavar = "pubsub://project/subscription=topic"
    parser.add_argument("subscriptions", nargs="*", metavar=metavar, help="create at start")
    arguments = parser.parse_args()
    with pubsub_server(arguments.host, arguments.port) as server:
        for subscription in arguments.subscriptions:
            server.subscribe(*subscription.split("="))
        print(f"Pub/Sub emulator is listening at {server.host}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
