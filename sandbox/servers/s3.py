"""Two local S3 servers: ministack, which notifies SQS queues, and SeaweedFS, which checks signatures and rights."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.servers.process_group import HOST, free_ports, running, wait_for


@dataclass(frozen=True, slots=True)
class S3Server:
    """An S3 endpoint; ministack serves SQS, SNS and EventBridge at the same address."""

    endpoint: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    others: Mapping[str, str] = field(default_factory=dict)
    """Secrets by access key of users with fewer rights, if the server checks rights: `uploader`, `lister`."""


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start ministack: S3, SQS, SNS and EventBridge in memory, with notifications, without signature checks."""
    (port,) = free_ports(1)
    endpoint = f"http://{HOST}:{port}"
    environment = {
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,sqs,sns,events,sts",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "MINISTACK_REGION": "us-east-1",
    }
    with running([sys.executable, "-m", "ministack"], folder, environment) as process:
        wait_for(process, folder, f"{endpoint}/_ministack/health")
        yield S3Server(endpoint, "demo", "demo-secret")


@contextmanager
def seaweedfs_server(folder: Path) -> Iterator[S3Server]:
    """Start SeaweedFS: S3 with versions that checks signatures and rights, and lists in its own order."""
    master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc = map(str, free_ports(8))
    rights = {"owner": ["Admin"], "uploader": ["Read", "Write"], "lister": ["List"]}
    secrets = {name: f"{name}-secret" for name in rights}
    identities = [
        {"name": name, "credentials": [{"accessKey": name, "secretKey": secrets[name]}], "actions": actions}
        for name, actions in rights.items()
    ]
    server = S3Server(f"http://{HOST}:{s3}", "owner", secrets.pop("owner"), others=secrets)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    options = {
        "dir": str(folder),
        "ip": HOST,
        "ip.bind": HOST,
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.electionTimeout": "1s",
        "master.telemetry": "false",
        "master.volumeSizeLimitMB": "64",
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": "1000",  # one bucket needs seven
        "volume.preStopSeconds": "1",
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "filer.localSocket": str(folder / "filer.sock"),
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "s3.localSocket": str(folder / "s3.sock"),
        "s3.config": str(folder / "identities.json"),
    }
    weed = Path(sys.executable).with_name("weed")
    command = [str(weed), "server", *(f"-{name}={value}" for name, value in options.items())]
    with running(command, folder, {"TMPDIR": str(folder)}) as process:
        wait_for(process, folder, f"{server.endpoint}/status")
        wait_for(process, folder, f"http://{HOST}:{master}/dir/assign")  # only then the volume server accepts writes
        yield server
