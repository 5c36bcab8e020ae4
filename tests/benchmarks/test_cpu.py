"""CPU time is attributed to the component that used it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks import cpu
from benchmarks.cpu import COMPONENTS, MACHINE, OTHER, Process, by_component, parse_process

SHELL = 'sh -c for part in api-server dag-processor scheduler triggerer; do "$0" -m airflow $part & done; wait'
PROCESSES = [
    Process(1, 0, "init", 90),
    Process(10, 1, "python -m benchmarks.freshness", 5),
    Process(11, 10, SHELL, 0.5),
    Process(12, 11, "python -m airflow scheduler", 2),
    Process(13, 12, "airflow worker -- LocalExecutor: <idle>", 3),
    Process(14, 13, "airflow worker -- 019", 4),
    Process(15, 12, "airflow serve-logs", 0.25),
    Process(16, 11, "airflow api_server -- host:127.0.0.1 port:1", 6),
    Process(17, 11, "python -m airflow triggerer", 7),
    Process(18, 11, "python -m airflow dag-processor", 8),
    Process(19, 18, "python -c reads a file", 1),
    Process(20, 10, "python -m ministack", 9),
    Process(21, 10, "/lib/fake-gcs-server -port=1", 10),
    Process(30, 1, "somebody else's airflow scheduler", 70),
    Process(31, 4000, "its parent has ended airflow scheduler", 70),
    Process(40, 1, "/lib/bin/postgres -D /tmp/data", 11),
    Process(41, 40, "postgres: checkpointer", 12),
]


def test_a_process_belongs_to_the_component_that_its_command_or_its_nearest_ancestor_matches() -> None:
    assert by_component(PROCESSES, {10, 40}, COMPONENTS) == {
        OTHER: 5.5, "scheduler": 2.25, "tasks": 7, "API server": 6, "triggerer": 7, "DAG processor": 9,
        "S3 and SQS": 9, "GCS": 10, "PostgreSQL": 23,
    }  # fmt: skip


def test_cpu_use_is_in_percent_of_one_core() -> None:
    assert cpu.percent_of_core({"a": 10, "b": 3}, {"a": 15, "b": 3, "c": 1}, 2) == {"a": 250, "b": 0, "c": 50}


@pytest.mark.parametrize("name", ["python", "a (b) c"])
def test_a_process_name_may_contain_blanks_and_brackets(name: str) -> None:
    ticks = [os.sysconf("SC_CLK_TCK") * seconds for seconds in (1, 2, 3, 4)]
    status = f"7 ({name}) S 42 7 7 0 -1 4194560 100 200 0 0 {ticks[0]} {ticks[1]} {ticks[2]} {ticks[3]} 20 0 1 0 300"
    assert parse_process(7, status, b"python\0-m\0airflow\0") == Process(7, 42, "python -m airflow", 10)


def test_the_time_of_a_child_is_its_own_until_it_ends_and_then_its_parents() -> None:
    work = (
        "import time; end = time.process_time() + 0.4\n"
        "while time.process_time() < end: pass\n"
        "print(flush=True); input()"
    )
    components = {"busy": "process_time"}
    before = cpu.cpu_seconds(components)
    with subprocess.Popen([sys.executable, "-c", work], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as busy:
        assert busy.stdout
        busy.stdout.readline()
        during = cpu.cpu_seconds(components)
        busy.communicate(b"\n")
    after = cpu.cpu_seconds(components)
    assert 0.35 < during["busy"] < 2
    assert during[MACHINE] - before[MACHINE] > 0.3
    assert "busy" not in after
    assert after[OTHER] - before[OTHER] > 0.35
