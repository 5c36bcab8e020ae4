"""PostgreSQL: a warehouse on a server, for many concurrent writers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import sqlalchemy as sa

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
from roomledger.ledger.postgres_queries import require_query
from roomledger.ledger.tables.columns import metadata

_TYPES = {
    pa.string(): "text",
    pa.bool_(): "boolean",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.timestamp("us", tz="UTC"): "timestamptz",
    pa.date32(): "date",
    pa.binary(): "bytea",
}
# In COPY's CSV null is an empty cell without quotes, an empty text one with quotes.
_CSV = pacsv.WriteOptions(include_header=False, quoting_style="all_valid")
_COPIED_ROWS = 8192
_EVIDENCE, _PUBLICATIONS = 0x726F6F6D, 0x726F6F6E
"""Numbers of the advisory locks: "room" and "roon" in ASCII, which other programs are unlikely to use."""


class PostgreSQL:
    """A PostgreSQL database, 15 or newer."""

    lock = "FOR UPDATE"
    skip_locked = "FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = sa.create_engine(
            url,
            poolclass=sa.pool.NullPool,  # a process makes a handful of transactions, then ends
            connect_args={"options": "-c timezone=UTC", "connect_timeout": 10, "application_name": "roomledger"},
        )

    @contextmanager
    def begin(self, *, read_only: bool = False) -> Iterator[sa.Connection]:
        """Open a transaction."""
        with self._connect() as connection, connection.begin():
            if read_only:
                connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            yield connection

    def _connect(self) -> sa.Connection:
        try:
            return self._engine.connect()
        except sa.exc.OperationalError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            if "permission denied for database" in str(error.orig):
                raise WarehouseError(
                    f"this user may not connect to {where}: let its owner run GRANT CONNECT ON DATABASE "
                    f"{self._engine.url.database} TO {self._engine.url.username}"
                ) from error
            raise WarehouseError(
                f"the database at {where} does not answer: {' '.join(str(error.orig).split())}: check host, database, "
                "user and password in the url of [warehouse] or [control], or ROOMLEDGER_WAREHOUSE_URL"
            ) from error

    def hold_evidence(self, tx: sa.Connection, *, change: bool) -> None:
        """Take the advisory lock of the evidence, shared or exclusive; it ends with the transaction."""
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock{'' if change else '_shared'}({_EVIDENCE})")

    def lock_publications(self, tx: sa.Connection) -> None:
        """Take the advisory lock of publications; it ends with the transaction."""
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_PUBLICATIONS})")

    def append(self, tx: sa.Connection, table: sa.Table, rows: Rows) -> None:
        """Copy the rows into the table by `COPY`."""
        schema, batches = _batches(rows)
        columns = ", ".join(f'"{field.name}"' for field in schema)
        _copy(tx, f"{table.fullname} ({columns})", batches)

    def stage(self, tx: sa.Connection, rows: Rows, label: str) -> Staged:
        """Copy the rows into a temporary table by `COPY`."""
        staged = Staged(staged_name(label))
        schema, batches = _batches(rows)
        columns = ", ".join(f'"{field.name}" {_TYPES[field.type]}' for field in schema)
        tx.exec_driver_sql(f"CREATE TEMPORARY TABLE {staged} ({columns}) ON COMMIT DROP")
        _copy(tx, str(staged), batches)
        tx.exec_driver_sql(f"ANALYZE {staged}")  # without it the planner assumes an empty table
        return staged

    def query(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, time_limit_s: float = QUERY_TIME_S
    ) -> list[Row]:
        """Run one query in a transaction that only reads and is rolled back, without the rights of a superuser."""
        require_text(sql, parameters)
        with self._connect() as tx, tx.begin() as transaction:
            driver: Any = tx.connection.driver_connection
            try:
                self._restrict(tx, time_limit_s)
                sent, values = _bound(tx, sql, parameters)
                require_query(tx, sent % dict.fromkeys(values, "$1") if values is not None else sent)
                # `stream` has the server parse the text as a single statement, also without parameters.
                with driver.cursor() as cursor, closing(cursor.stream(sent, values, size=_streamed_rows())) as stream:
                    return take_rows(_named(stream, cursor))
            except sa.exc.StatementError as error:
                raise _query_error(error.orig, time_limit_s) from error
            except psycopg.Error as error:
                raise _query_error(error, time_limit_s) from error
            finally:
                transaction.rollback()

    def _restrict(self, tx: sa.Connection, time_limit_s: float) -> None:
        """Take from a transaction what a query does not need."""
        tx.exec_driver_sql("SET TRANSACTION READ ONLY")
        tx.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(1000 * time_limit_s))}")
        with suppress(sa.exc.DBAPIError), tx.begin_nested():  # not every server's system can
            tx.exec_driver_sql("SET LOCAL client_connection_check_interval = '1s'")
        tx.exec_driver_sql("SET LOCAL standard_conforming_strings = on")  # `require_query` reads strings so
        if tx.exec_driver_sql("SELECT current_setting('is_superuser') = 'on'").scalar_one():
            tx.exec_driver_sql("SET LOCAL ROLE pg_read_all_data")

    def analyze(self) -> None:
        """Analyze the tables that have doubled, without waiting for autovacuum, which comes after a minute or more.

        Until then the planner assumes that few rows match, and may search a large table for each row of another one.
        """
        names = [table.fullname for table in metadata.sorted_tables]
        with self.begin() as tx:
            for name in tx.execute(_DOUBLED, {"names": names}).scalars().all():
                tx.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {name}")


# A table of less than a megabyte is read as a whole, whatever its statistics say.
_DOUBLED = sa.text("""
SELECT name FROM unnest(CAST(:names AS text[])) AS name JOIN pg_class ON pg_class.oid = to_regclass(name)
WHERE pg_relation_size(pg_class.oid) > greatest(2 * relpages, 128) * current_setting('block_size')::bigint
ORDER BY name
""")


def _copy(tx: sa.Connection, target: str, batches: Iterable[pa.RecordBatch]) -> None:
    driver: Any = tx.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN (FORMAT csv)") as copy:
        for batch in batches:
            sink = pa.BufferOutputStream()
            pacsv.write_csv(_printable(batch), sink, _CSV)
            copy.write(sink.getvalue())


def _batches(rows: Rows) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    if isinstance(rows, pa.Table):
        return rows.schema, rows.to_batches()
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(rows)
    return file.schema_arrow, file.iter_batches(_COPIED_ROWS)


def _printable(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write bytes as PostgreSQL's hex form: Arrow's CSV writer knows no binary."""
    for index, field in enumerate(batch.schema):
        if pa.types.is_binary(field.type):
            cells = [None if cell is None else "\\x" + cell.hex() for cell in batch.column(index).to_pylist()]
            batch = batch.set_column(index, field.name, pa.array(cells, pa.string()))
    return batch


def _bound(tx: sa.Connection, sql: str, parameters: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any] | None]:
    """Give a query with its parameters in the form of the driver."""
    if parameters is None:
        return sql, None
    compiled = bound(sql, parameters).compile(dialect=tx.dialect)
    return str(compiled), compiled.construct_params(dict(parameters))


def _streamed_rows() -> int:
    """Rows that are received at once: libpq before 17 gives them one by one."""
    return 1000 if psycopg.capabilities.has_stream_chunked() else 1


def _named(rows: Iterable[Sequence[Any]], cursor: Any) -> Iterator[Row]:
    """Give the rows of a query by the names of their columns, which are known with the first one."""
    names: list[str] = []
    for row in rows:
        if not names:
            names = [column.name for column in cursor.description]
            require_names(names)
        yield dict(zip(names, row, strict=True))


def _query_error(error: BaseException | None, time_limit_s: float) -> QueryError:
    if isinstance(error, psycopg.errors.QueryCanceled):
        return took_too_long(time_limit_s)
    if isinstance(error, psycopg.errors.SyntaxError) and "multiple commands" in str(error):
        return QueryError("give one query: this has several statements")
    return QueryError(str(error).partition("\n")[0])
