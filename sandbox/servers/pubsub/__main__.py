"""Run the stand-in for Pub/Sub as a process of its own."""

from __future__ import annotations

import argparse
import threading

from sandbox.servers.pubsub.server import HOST, pubsub_server


def main() -> None:
    """Serve until the process is told to end."""
    parser = argparse.ArgumentParser(description="A stand-in for Google Pub/Sub that keeps everything in memory.")
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, default=8085)
    form = "pubsub://project/subscription=topic"
    parser.add_argument("subscriptions", nargs="*", metavar=form, help="to be there from the beginning")
    arguments = parser.parse_args()
    with pubsub_server(arguments.host, arguments.port) as server:
        for subscription in arguments.subscriptions:
            server.subscribe(*subscription.split("="))
        print(f"Pub/Sub stands in at {server.host}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
