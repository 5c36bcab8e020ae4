"""The SQL of views and audits, translated from PostgreSQL's dialect, which DuckDB reads too, into those of others.

sqlglot prints what it does not know unchanged, and some constructs have another meaning elsewhere. These are replaced
here. What has no sure translation raises Untranslatable: a view must fail when it is created, not show wrong rows.

JSON columns are text in the other engines, and a `:name` is a parameter: `@name` in BigQuery, `{name:Type}` in
ClickHouse, `:name` in Snowflake.
"""

from __future__ import annotations

from typing import Literal

import sqlglot
from sqlglot import ErrorLevel, exp

Dialect = Literal["bigquery", "clickhouse", "snowflake"]

_SECONDS_BETWEEN = {
    "bigquery": "(TIMESTAMP_DIFF({end}, {start}, MICROSECOND) / 1000000)",
    "clickhouse": "(dateDiff('microsecond', {start}, {end}) / 1000000)",
    "snowflake": "(TIMESTAMPDIFF(MICROSECOND, {start}, {end}) / 1000000)",
}
_LATER = {
    "bigquery": "TIMESTAMP_ADD({time}, INTERVAL {number} {unit})",
    "clickhouse": "DATE_ADD({unit}, {number}, {time})",
    "snowflake": "TIMESTAMPADD({unit}, {number}, {time})",
}
_MICROSECONDS = {
    "bigquery": "FORMAT_TIMESTAMP('%Y-%m-%d %H:%M:%E6S', {time}, 'UTC')",
    "clickhouse": "toString({time})",
    "snowflake": "TO_CHAR(CONVERT_TIMEZONE('UTC', {time}), 'YYYY-MM-DD HH24:MI:SS.FF6')",
}
_WITHOUT = {
    "bigquery": "RTRIM({text}, '{end}')",
    "clickhouse": "trim(TRAILING '{end}' FROM {text})",
    "snowflake": "RTRIM({text}, '{end}')",
}
# Without a value string_agg gives null, but ClickHouse and Snowflake give an empty text.
_JOINED = {
    "bigquery": "STRING_AGG({distinct}{value}, {separator} ORDER BY {value})",
    "clickhouse": "nullIf(arrayStringConcat(arraySort(group{distinct}Array({value})), {separator}), '')",
    "snowflake": "NULLIF(LISTAGG({distinct}{value}, {separator}) WITHIN GROUP (ORDER BY {value}), '')",
}
_PART = {
    "bigquery": "IF({text} IS NULL, NULL, COALESCE(SPLIT({text}, {separator})[SAFE_ORDINAL({place})], ''))",
    "clickhouse": "if({text} IS NULL, NULL, splitByString({separator}, {text})[{place}])",
    "snowflake": "SPLIT_PART({text}, {separator}, {place})",
}
_CLICKHOUSE_TIME = "Nullable(DateTime64(6, 'UTC'))"
"""With fractions of a second, which sqlglot's DateTime does not have."""


class Untranslatable(ValueError):
    """A query has a construct without a sure translation; the message names it."""


def translate(query: str, dialect: Dialect) -> str:
    """Translate one SELECT; raises Untranslatable."""
    tree = sqlglot.parse_one(query, read="postgres")
    unknown: tuple[type[exp.Expr], ...] = (exp.Extract, exp.Interval, exp.GroupConcat)
    if dialect == "clickhouse":
        unknown = (*unknown, exp.Placeholder)
        _prepare_for_clickhouse(tree)
    try:
        for node in reversed(list(tree.walk())):  # from the innermost outwards
            if (replaced := _replaced(node, dialect)) is not None:
                node.replace(replaced)
        if (left := tree.find(*unknown)) is not None:
            raise Untranslatable(f"there is no translation of {left.sql('postgres')}")
        return _printed(_with_nulls(tree) if dialect == "clickhouse" else tree, dialect)
    except sqlglot.UnsupportedError as error:
        raise Untranslatable(str(error)) from error


def _replaced(node: exp.Expr, dialect: Dialect) -> exp.Expr | None:
    """Give what stands for a node in the dialect; None when sqlglot's translation is right."""
    match node:
        case exp.Extract(this=exp.Var(this="EPOCH"), expression=exp.Sub(this=end, expression=start)):
            return _fill(_SECONDS_BETWEEN, dialect, start=start, end=end)
        case exp.Add(this=time, expression=exp.Interval(this=exp.Literal(this=number)) as interval) if number.isdigit():
            return _fill(_LATER, dialect, time=time, number=number, unit=_unit(interval))
        case exp.Add(this=time, expression=exp.Mul(this=number, expression=exp.Interval(this=one) as interval)) if (
            one.name == "1"
        ):
            return _fill(_LATER, dialect, time=time, number=number, unit=_unit(interval))
        case exp.Cast(this=exp.Cast(to=inner) as time, to=outer) if outer.is_type("text") and _is_time(inner):
            text = _fill(_WITHOUT, dialect, text=_fill(_MICROSECONDS, dialect, time=time), end="0")
            return exp.DPipe(this=_fill(_WITHOUT, dialect, text=text, end="."), expression=exp.Literal.string("+00"))
        case exp.SplitPart(this=text):
            return _fill(_PART, dialect, text=text, separator=node.args["delimiter"], place=node.args["part_index"])
        case exp.GroupConcat(this=exp.Order(this=value, expressions=[order])) if not order.args.get("desc"):
            is_distinct = isinstance(value, exp.Distinct)
            if (value.expressions[0] if is_distinct else value) == order.this:
                distinct = ("Uniq" if dialect == "clickhouse" else "DISTINCT ") if is_distinct else ""
                return _fill(_JOINED, dialect, value=order.this, separator=node.args["separator"], distinct=distinct)
    return _replaced_in_clickhouse(node) if dialect == "clickhouse" else None


def _prepare_for_clickhouse(tree: exp.Expr) -> None:
    """Give times their precision, and columns of joins their name, which otherwise may be `table.column`."""
    for type_ in [found for found in tree.find_all(exp.DataType) if found.is_type("timestamptz")]:
        type_.replace(exp.DataType.build(_CLICKHOUSE_TIME, "clickhouse"))
    for select in tree.find_all(exp.Select):
        for column in select.expressions:
            if isinstance(column, exp.Column) and column.table and not column.is_star:
                column.replace(exp.alias_(column.copy(), column.name))


def _replaced_in_clickhouse(node: exp.Expr) -> exp.Expr | None:
    """Give parameters their type, lead and lag nulls, and counts the type of other numbers.

    UInt64 and Int64 have no type in common.
    """
    match node:
        case exp.Cast(this=exp.Placeholder(this=name), to=type_):
            return exp.Var(this=f"{{{name}:{_printed(type_, 'clickhouse')}}}")
        case exp.Lag(this=value) | exp.Lead(this=value):  # beyond the last row they give an empty text or 1970
            return type(node)(this=exp.func("toNullable", value.copy()))
        case exp.Count() | exp.RowNumber() | exp.Rank() if not isinstance(node.parent, exp.Window):
            return exp.cast(node.copy(), "bigint")
        case exp.Window(this=exp.Count() | exp.RowNumber() | exp.Rank()):
            return exp.cast(node.copy(), "bigint")
    return None


def _with_nulls(tree: exp.Expr) -> exp.Expr:
    """Let outer joins of ClickHouse give nulls, not zeros and empty texts, whatever the session of the reader says."""
    if isinstance(tree, exp.SetOperation):  # settings after a union apply to its last part only
        if tree.args.get("order"):
            raise Untranslatable("the order of a union would be lost")
        tree = exp.select("*").from_(tree.subquery("parts"))
    tree.set("settings", [exp.column("join_use_nulls").eq(1)])
    return tree


def _fill(templates: dict[str, str], dialect: Dialect, **parts: exp.Expr | str) -> exp.Expr:
    texts = {name: part if isinstance(part, str) else _printed(part, dialect) for name, part in parts.items()}
    return exp.Var(this=templates[dialect].format(**texts))


def _printed(node: exp.Expr, dialect: Dialect) -> str:
    return node.sql(dialect, unsupported_level=ErrorLevel.RAISE, comments=False)


def _unit(interval: exp.Interval) -> str:
    return interval.text("unit").rstrip("S")


def _is_time(type_: exp.DataType) -> bool:
    return type_.this in (exp.DType.TIMESTAMPTZ, exp.DType.DATETIME64)
