"""Processes of the local servers: each runs in a process group of its own, and never outlives this process.

A small watcher in the group holds one end of a pipe. When this process dies, however it dies, the pipe closes and the
watcher stops the group.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 3

# The server becomes the group's leader; the watcher waits until its standard input, our end of the pipe, closes.
_WITH_WATCHER = (
    'exec 3<&0; (trap "" TERM; read _ <&3; kill -TERM 0; sleep 5; kill -KILL 0) >/dev/null 2>&1 & '
    'exec "$@" </dev/null 3<&-'
)


@contextmanager
def running(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in its own process group until the block ends; its output goes to `server.log` in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with _log(folder).open("ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", _WITH_WATCHER, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=os.environ | environment,
            start_new_session=True,
        )
    stop = partial(_stop, process)
    atexit.register(stop)
    try:
        yield process
    finally:
        atexit.unregister(stop)
        stop()


@contextmanager
def interrupt_at_exit(pid: int) -> Iterator[None]:
    """Interrupt the process `pid`, which has its own group, if this process dies inside the block."""
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", 'read _; kill -INT "$1"', "sh", str(pid)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()
        _pipe(watcher).close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the server, then kill all remaining processes of its group and session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _in_session(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    _pipe(process).close()


def _in_session(session: int) -> list[int]:
    """Processes of the session, also those with a group of their own; none on systems without /proc."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            after_name = status.read_text().rpartition(") ")[2].split()
            if int(after_name[3]) == session:
                found.append(int(status.parent.name))
    return found


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def wait_for(process: subprocess.Popen[bytes], folder: Path, url: str) -> None:
    """Wait until `url` responds. Raises RuntimeError with the end of the log if it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except urllib.error.HTTPError as not_ready:
            not_ready.close()
        except OSError:
            pass
        time.sleep(0.05)
    log = _log(folder).read_text(errors="replace")[-2000:]
    raise RuntimeError(f"{process.args!r} does not respond at {url}; the end of its log: {log}")


def _log(folder: Path) -> Path:
    return folder / "server.log"


def free_ports(count: int) -> list[int]:
    """Different free ports: all sockets stay open until the last port is known."""
    with contextlib.ExitStack() as open_sockets:
        sockets = [open_sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
