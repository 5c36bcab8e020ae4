"""DuckDB: a warehouse in one file, the embedded default.

Only one process can open the file, so each transaction opens it, works in bulk and closes it; other processes wait.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from roomledger.ledger.database import (
    QUERY_TIME_S,
    QueryError,
    Row,
    Rows,
    Staged,
    WarehouseError,
    bound,
    require_names,
    require_text,
    staged_name,
    take_rows,
    took_too_long,
)
from roomledger.settings import DEFAULT_MEMORY_MB

log = logging.getLogger(__name__)

_LOCK_WAIT_S = 120
_FETCHED_ROWS = 10_000


class DuckDB:
    """A DuckDB file."""

    lock = ""
    skip_locked = ""

    def __init__(self, url: str, memory_mb: int = DEFAULT_MEMORY_MB, lock_wait_s: float = _LOCK_WAIT_S) -> None:
        self.url = url
        self._path = Path(url.removeprefix("duckdb:///"))
        self._lock_wait_s = lock_wait_s
        # Without insertion order DuckDB streams large inserts to disk, in bounded memory.
        config = {"memory_limit": f"{memory_mb}MB", "preserve_insertion_order": False}
        # A pool would keep the file open, and so locked, after the transaction.
        self._engine = sa.create_engine(url, poolclass=NullPool, connect_args={"config": config})
        # A query of a user cannot write the file, reach other files or the network, or unlock any of that.
        locked = {"enable_external_access": False, "python_enable_replacements": False, "lock_configuration": True}
        arguments = {"read_only": True, "config": config | locked}
        self._reader = sa.create_engine(url, poolclass=NullPool, connect_args=arguments)
        # Concurrent transactions of one process would conflict; other processes are excluded by the file lock.
        self._mine = threading.Lock()

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[sa.Connection]:
        """Open the file, after waiting for another process to close it, and a transaction in it."""
        if read_only:
            self._require_file()
        with self._mine, self._connect(self._engine) as connection, connection.begin():
            if read_only:
                connection.exec_driver_sql("ROLLBACK")
                connection.exec_driver_sql("BEGIN TRANSACTION READ ONLY")
            yield connection

    def _require_file(self) -> None:
        if not self._path.exists():
            raise WarehouseError(f"there is no database file at {self._path}: run `roomledger init`")

    def _connect(self, engine: sa.Engine) -> sa.Connection:
        try:
            try:
                return engine.connect()
            except sa.exc.DBAPIError as error:
                if not _is_locked(error):
                    raise
            return self._wait(engine)
        except sa.exc.DBAPIError as error:
            if _is_locked(error):
                raise WarehouseError(
                    f"another process has held {self._path} for {self._lock_wait_s:.0f} s: "
                    "close what has it open (a `duckdb` shell, a notebook) and run again"
                ) from error
            raise WarehouseError(f"{self._path} cannot be opened: {self._reason(error)}") from error

    def _wait(self, engine: sa.Engine) -> sa.Connection:
        """Connect when another process has closed the file."""
        from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential  # takes a while

        log.info("another process has %s open: waiting for up to %.0f s", self._path, self._lock_wait_s)
        waiting = Retrying(
            retry=retry_if_exception(_is_locked),
            wait=wait_random_exponential(multiplier=0.02, max=0.5),
            stop=stop_after_delay(self._lock_wait_s),
            reraise=True,
        )
        return waiting(engine.connect)

    def _reason(self, error: sa.exc.DBAPIError) -> str:
        """Say why the file cannot be opened, and what to do."""
        where = "the url of [warehouse] or [control]"
        if not self._path.parent.is_dir():
            return f"there is no folder {self._path.parent}: create it, or correct {where}"
        if self._path.is_dir():
            return f"it is a folder: add the name of a file to {where}"
        text = str(error.orig).partition("\n")[0].partition(" Error: ")[2] or str(error.orig)
        if "not a valid DuckDB database" in text:
            return f"it is not a DuckDB database: name another file in {where}"
        return f"{text}: check its permissions and its disk, and {where}"

    def hold_evidence(self, tx: sa.Connection, *, change: bool) -> None:
        """No lock is needed: only one transaction at a time has the file."""

    def lock_publications(self, tx: sa.Connection) -> None:
        """No lock is needed: only one transaction at a time has the file."""

    def append(self, tx: sa.Connection, table: sa.Table, rows: Rows) -> None:
        """Insert from the Arrow memory or the Parquet file."""
        staged = self.stage(tx, rows, table.name)
        tx.exec_driver_sql(f"INSERT INTO {table.fullname} BY NAME SELECT * FROM {staged}")

    def stage(self, tx: sa.Connection, rows: Rows, label: str) -> Staged:
        """Create a view on the Arrow memory or the Parquet file, without a copy."""
        staged = Staged(staged_name(label))
        if isinstance(rows, Path):
            path = str(rows).replace("'", "''")
            tx.exec_driver_sql(f"CREATE TEMPORARY VIEW {staged} AS SELECT * FROM read_parquet('{path}')")
        else:
            driver: Any = tx.connection.driver_connection
            driver.register(staged.name, rows)
        return staged

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, time_limit_s: float = QUERY_TIME_S
    ) -> list[Row]:
        """Run one query on the file, opened read-only, without access to anything else."""
        require_text(sql, parameters)
        self._require_file()
        with self._mine, self._connect(self._reader) as tx:
            driver: Any = tx.connection.driver_connection
            timer = threading.Timer(time_limit_s, driver.interrupt)
            timer.start()
            try:
                if parameters is None:
                    _require_query(driver, sql)
                    result = tx.exec_driver_sql(sql)
                else:
                    statement = bound(sql, parameters)
                    _require_query(driver, str(statement.compile(dialect=tx.dialect)))
                    result = tx.execute(statement, dict(parameters))
                require_names([*result.keys()])
                return take_rows(dict(row) for many in result.mappings().partitions(_FETCHED_ROWS) for row in many)
            except (duckdb.Error, sa.exc.StatementError) as error:
                raise _query_error(error, time_limit_s) from error
            finally:
                timer.cancel()

    def analyze(self) -> None:
        """DuckDB keeps the statistics that it plans by itself."""


def _require_query(driver: Any, sql: str) -> None:
    """Raise QueryError for anything but one query."""
    kinds = [one.type.name for one in driver.extract_statements(sql)]
    if len(kinds) != 1:
        raise QueryError(f"give one query, such as SELECT count(*) FROM loads: this has {len(kinds)} statements")
    if kinds[0] not in ("SELECT", "EXPLAIN"):
        raise QueryError(f"only queries can be run (SELECT, WITH, VALUES, DESCRIBE, EXPLAIN): this is {kinds[0]}")


def _query_error(error: Exception, time_limit_s: float) -> QueryError:
    cause = error.orig if isinstance(error, sa.exc.StatementError) else error
    if isinstance(cause, duckdb.InterruptException):
        return took_too_long(time_limit_s)
    # "Parser Error: syntax error at …", then the line of the query.
    return QueryError(str(cause).partition("\n")[0].partition(" Error: ")[2] or str(cause))


def _is_locked(error: BaseException) -> bool:
    return "Could not set lock on file" in str(error)
