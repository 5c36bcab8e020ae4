"""Parameters of the audits, which together find rows of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from tests.rows import rows

_YEAR = {"since": datetime(2026, 1, 1, tzinfo=UTC), "until": datetime(2027, 1, 1, tzinfo=UTC)}
_DAY = {"since": datetime(2026, 3, 3, tzinfo=UTC), "until": datetime(2026, 3, 4, 12, 30, 0, 5, UTC)}


def parameters_of(audit: str, tx: Connection) -> Iterator[dict[str, Any]]:
    match audit:
        case "completeness":
            for day in (1, 4, 18, 31):
                yield {"now": datetime(2026, 3, day, 12, tzinfo=UTC)}
            yield {"now": datetime(2026, 3, 18, tzinfo=UTC), "customer": "Red", "source": "blue", **_DAY}
        case "row-origin":
            for (message,) in rows(
                tx, "SELECT DISTINCT message_id FROM chat_messages WHERE message_id LIKE 'message %'"
            ):
                yield {"message_id": message}
            for id_, ordinal in rows(tx, "SELECT object_id, ordinal FROM refusals ORDER BY 1 DESC, 2 LIMIT 12"):
                yield {"object_id": id_, "ordinal": ordinal}
            for id_, ordinal in rows(tx, "SELECT object_id, 0 FROM session_changes ORDER BY changed_at LIMIT 6"):
                yield {"object_id": id_, "ordinal": ordinal}
        case "session-record":
            for order in ("", "DESC"):
                for (session,) in rows(tx, f"SELECT session_id FROM session_overview ORDER BY 1 {order} LIMIT 3"):
                    yield {"session_id": session}
            yield {"session_id": "session 1", "customer": "Red"}
        case "user-record":
            for (user,) in rows(tx, "SELECT DISTINCT user_id FROM peers WHERE user_id <> '' ORDER BY 1 DESC LIMIT 5"):
                yield {"user_id": user, **_YEAR}
            for name in ("Ann", "Bob"):
                yield {"name": name, "customer": "Red", **_YEAR}
                yield {"name": name, **_DAY}
        case _:
            raise ValueError(f"there are no parameters for the audit {audit}")
