"""Whatever the parsers accept, every view and every audit can be read whole, on both engines.

The files and the vendor's records are made by chance of values that break something somewhere: the largest and the
smallest numbers, times of other ages, and text that few programs expect.
"""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from roomledger.hundredms import records
from roomledger.ledger.database import Database
from roomledger.ledger.vendor_events import insert_events
from roomledger.ledger.vendor_records import upsert_records
from roomledger.model import Rejected
from roomledger.queries import audit
from roomledger.times import LATEST
from roomledger.warehouse.transactional import DatabaseFacts
from roomledger.warehouse.views import VIEWS
from tests.folders import chat_key, put, source_of
from tests.ledger.inputs import ACME
from tests.payloads import at, decode_events, event
from tests.pipeline.loading import collect, load
from tests.warehouses import fetch

NUMBERS = [
    *(
        0,
        1,
        -1,
        59,
        86_400_000,
        86_400_001,
        2**31 - 1,
        2**31,
        2**53,
        2**63 - 1,
        -(2**63),
        2**63,
        2**64,
        10**300,
        10**400,
    ),
    *(0.5, -0.0, 1e15, 1e22, 1e308, float("inf"), float("-inf"), float("nan"), True, None),
]
TIMES = [
    *("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-03-02T10:00:00Z", "2199-12-31T23:59:59.999999999Z"),
    *("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "2026-02-30T00:00:00Z", "2026-03-02T10:00:00+10:75"),
    *("2026-03-02T24:00:00Z", "2026-03-02T10:00:60Z", "soon", "", "10000-01-01T00:00:00Z"),
]
TEXTS = [
    *(
        "",
        "a",
        "Nell",
        "s1",
        "=1+1",
        "a\nb",
        "a\r\nb",
        "\u2028",
        "\x85",
        "\ufeff",
        "\u202e",
        "\U0001f600",
        "\x01",
        "a: b",
    ),
    *("'", '"', "\\", "\\u0000", "%", "{}", "[]", "null", "NaN", "-->", "x" * 3000, "1" * 400, "\0", "\ud800"),
]


def any_value(chance: Random, depth: int = 3) -> Any:
    kind = chance.randrange(6 if depth else 4)
    if kind == 4:
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(3))]
    if kind == 5:
        return {chance.choice(TEXTS): any_value(chance, depth - 1) for _ in range(chance.randrange(3))}
    return chance.choice([NUMBERS, [str(one) for one in NUMBERS], TIMES, TEXTS][kind])


def some(chance: Random, usual: dict[str, Any]) -> dict[str, Any]:
    """An object with these members, of which chance changes, drops and adds some."""
    found = {name: any_value(chance) if chance.random() < 0.3 else one for name, one in usual.items()}
    if chance.random() < 0.2:
        found.pop(chance.choice([*found]))
    if chance.random() < 0.3:
        found[chance.choice([*TEXTS, "start", "speaker", "segments"])] = any_value(chance)
    return found


def transcript(chance: Random) -> bytes:
    entries = [
        some(
            chance,
            {"sentence": "hi", "word": "hi", "name": "Nell", "peer_id": "p1", "start_time": n, "end_time": n + 1},
        )
        for n in range(8)
    ]
    return json.dumps(some(chance, {"words": entries, "sentences": entries, "language": "en"})).encode()


def summary(chance: Random) -> bytes:
    sections = [some(chance, {"title": "T", "format": "bullets", "bullets": ["b"], "paragraph": ""}) for _ in range(4)]
    return json.dumps({"summary": some(chance, {"sections": sections}), "x": any_value(chance)}).encode()


def chat(chance: Random) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=chance.choice(["\n", "\r\n", "\r"]))
    columns = ["SenderPeerID", "SenderName", "SenderUserID", "Roles", "SentAt", "Type", "Message", "MessageID", "Mood"]
    writer.writerow(columns)
    for number in range(12):
        cells = ["p1", "Nell", "u1", "[]", "2026-03-02T10:00:00Z", "chat", "hello", f"m{number}", ""]
        for at_ in range(len(cells)):
            if chance.random() < 0.15:
                cells[at_] = str(any_value(chance)) if at_ != 4 else chance.choice(TIMES)
        writer.writerow(cells)
    content = file.getvalue().encode("utf-8", "surrogatepass")
    if chance.random() < 0.3:
        at_ = chance.randrange(len(content))
        content = content[:at_] + chance.choice([b'"', b"\n", b"\0", b"\xff", b","]) + content[at_:]
    return content


def subtitles(chance: Random) -> bytes:
    points = ["00:00:01,000", "00:75:99,000", "9999:59:59,999", "99:00:00", "0:0:0.1", "24:00:00,000", "24:00:00,001"]
    blocks = (
        f"{n}\n{chance.choice(points)} --> {chance.choice(points)} {chance.choice(['', 'X1:0', 'Nell: a'])}\n"
        f"{chance.choice(TEXTS)}: {chance.choice(TEXTS)}\n\n"
        for n in range(12)
    )
    return "".join(blocks).encode("utf-8", "surrogatepass")


def vendor_records(chance: Random) -> list[Any]:
    """What the parsers of the API accept."""
    times = {"created_at": at(0), "updated_at": at(9)}
    peer = some(
        chance, {"id": "p1", "name": "Nell", "role": "host", "user_id": "u1", "joined_at": at(0), "left_at": at(9)}
    )
    values = (
        (records.session, {"id": "s1", "room_id": "room1", "active": False, "peers": {"p1": peer}} | times),
        (records.asset, {"id": f"a{chance.randrange(9)}", "job_id": "j1", "room_id": "room1", "session_id": "s1",
         "type": "track", "status": "completed", "size": 7, "duration": 9, "path": f"s3://x/{chance.randrange(9)}",
         "metadata": some(chance, {"max_width": 1, "max_height": 1, "num_layers": "4"})} | times),
    )  # fmt: skip
    job = {"id": "j1", "room_id": "room1", "session_id": "s1", "status": "completed", "asset_types": ["chat", "track"],
           "started_at": at(1), "stopped_at": at(8)} | times  # fmt: skip
    found: list[Any] = []
    for parse, value in (*values, (lambda one: records.recording(one, "recording"), job)):
        with suppress(Rejected):
            parsed = parse(some(chance, value))
            found += [parsed[0], *parsed[1]] if type(parsed) is tuple else [parsed]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_no_accepted_value_breaks_a_reader(ready: Database, tmp_path: Path, seed: int) -> None:
    chance = Random(seed)
    bucket = tmp_path / "bucket"
    for number in range(6):
        put(bucket, chat_key(1).replace("1772445600000", f"{1772445600000 + number}"), chat(chance))
        put(bucket, f"transcripts/{number}.json", transcript(chance))
        put(bucket, f"transcripts/{number}.srt", subtitles(chance))
        put(bucket, f"summaries/{number}/summary.json", summary(chance))
    put(bucket, chat_key().replace("1772445600000", "9999999999999"), chat(chance))
    source = source_of(bucket)
    with ready.begin() as tx:
        upsert_records(tx, ready, ACME, [one for _ in range(9) for one in vendor_records(chance)], now=LATEST)
        stay = {"session_id": "s1", "room_id": "room1", "peer_id": "p1", "peer_name": "Nell", "user_id": "u1"}
        stay |= {"role": "host", "joined_at": at(1), "left_at": at(2)}
        bodies = [event(f"peer.{kind}.success", 1, **some(chance, stay)) for kind in ("join", "leave", "join")]
        insert_events(tx, ready, decode_events(ACME, bodies), now=LATEST)
    collect(ready, source)
    load(ready, source, accept_refusals=True)
    assert {row for (row,) in fetch(ready, "SELECT DISTINCT disposition FROM object_ledger")} <= {"loaded", "refused"}
    for view in VIEWS:
        fetch(ready, f"SELECT * FROM {view.name}")
    assert fetch(ready, "SELECT count(*) > 20 FROM statements") == [(True,)]
    facts = DatabaseFacts(ready, in_ledger=True)
    period = {"since": "1970-01-01", "until": "2199-12-31"}
    for name, parameters in (
        *(("user-record", {"user_id": user, **period}) for user in ("u1", *TEXTS[1:8])),
        ("session-record", {"session_id": "s1"}),
        ("completeness", {"now": datetime.fromisoformat("2026-03-09T00:00:00Z")}),
        ("completeness", {"now": LATEST, **period}),
        ("row-origin", {"message_id": "m1"}),
    ):
        audit.run(facts, name, parameters)


def test_one_impossible_time_breaks_nothing(ready: Database, tmp_path: Path) -> None:
    """Not even one that an older version has loaded."""
    content = {"words": [], "sentences": [{"sentence": "hello", "name": "Nell", "start_time": 1, "end_time": 2}]}
    put(tmp_path / "bucket", "transcripts/1.json", json.dumps(content).encode())
    run_source = source_of(tmp_path / "bucket")
    collect(ready, run_source)
    load(ready, run_source)
    with ready.begin() as tx:
        tx.exec_driver_sql("UPDATE roomledger_raw.transcript_segments SET start_ms = 9223372036854775807")
    assert fetch(ready, "SELECT text, said_at FROM statements") == [("hello", None)]
    fetch(ready, "SELECT * FROM session_timeline")
