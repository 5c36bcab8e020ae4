"""Constructs that a query must not have: sqlglot prints them for another engine, where they mean something else.

A rule is a function from the tree of a query to the nodes that break it; its docstring is the reason. What no other
rule names, `unknown` refuses: a construct that no query has used before needs a look into the engines' manuals, and
then a place in PORTABLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy.dialects import postgresql
from sqlglot import exp, parse_one
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope
from sqlglot.schema import MappingSchema

from roomledger.ledger.tables.columns import metadata
from roomledger.warehouse.views import VIEWS

Found = Iterator[exp.Expr]

_SQL_TYPES = postgresql.dialect()  # type: ignore[no-untyped-call]
_SCHEMA = MappingSchema(
    {
        table.fullname.replace(".", "_"): {column.name: column.type.compile(_SQL_TYPES) for column in table.columns}
        for table in (*metadata.tables.values(), *VIEWS)
    },
    dialect="postgres",
)

PORTABLE = {
    *(exp.Abs, exp.Add, exp.Alias, exp.And, exp.CTE, exp.Case, exp.Cast, exp.Coalesce, exp.Column, exp.Count),
    *(exp.DPipe, exp.DataType, exp.Distinct, exp.EQ, exp.Extract, exp.Floor, exp.From, exp.GT, exp.GTE, exp.Group),
    *(exp.GroupConcat, exp.Having, exp.Identifier, exp.If, exp.In, exp.Interval, exp.Is, exp.Join, exp.LT),
    exp.LTE,
    *(
        exp.Lag,
        exp.Lead,
        exp.Literal,
        exp.Max,
        exp.Min,
        exp.Mul,
        exp.NEQ,
        exp.Not,
        exp.Null,
        exp.Nullif,
        exp.Or,
        exp.Order,
        exp.Ordered,
    ),
    *(exp.Paren, exp.Placeholder, exp.Rank, exp.RegexpReplace, exp.RowNumber, exp.Select, exp.SplitPart, exp.Star),
    *(exp.Sub, exp.Subquery, exp.Sum, exp.Table, exp.TableAlias, exp.Tuple, exp.Union, exp.Values),
    *(exp.Var, exp.Where, exp.Window, exp.With),
}
"""Nodes that mean the same everywhere, as far as no rule says otherwise, or that `translate` replaces or refuses."""
_HAVE_A_RULE = {exp.Div, exp.Exists, exp.Greatest, exp.Least}
_SAFE_TYPES = {exp.DType.TEXT, exp.DType.BIGINT, exp.DType.BOOLEAN, exp.DType.DOUBLE, exp.DType.TIMESTAMPTZ}
_RESERVED = """
    ACCOUNT ALL AND ANY ARRAY AS ASC AT BETWEEN BY CASE CAST CHECK COLLATE COLUMN CONNECT CONNECTION CONSTRAINT
    CONTAINS CREATE CROSS CUBE CURRENT DATABASE DEFAULT DEFINE DELETE DESC DISTINCT DROP ELSE END ENUM ESCAPE EXCEPT
    EXCLUDE EXISTS EXTRACT FALSE FETCH FOLLOWING FOR FROM FULL GRANT GROUP GROUPING GROUPS GSCLUSTER HASH HAVING IF
    IGNORE ILIKE IN INCREMENT INNER INSERT INTERSECT INTERVAL INTO IS ISSUE JOIN LATERAL LEFT LIKE LIMIT LOCALTIME
    LOCALTIMESTAMP LOOKUP MERGE MINUS NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER ORGANIZATION OUTER OVER PARTITION
    PRECEDING PROTO QUALIFY RANGE RECURSIVE REGEXP RESPECT REVOKE RIGHT RLIKE ROLLUP ROW ROWS SAMPLE SCHEMA SELECT SET
    SOME START STRUCT TABLE TABLESAMPLE THEN TO TREAT TRIGGER TRUE TRY_CAST UNBOUNDED UNION UNIQUE UNNEST UPDATE USING
    VALUES VIEW WHEN WHENEVER WHERE WINDOW WITH WITHIN
"""
"""Words that BigQuery or Snowflake reserves."""


def unknown(tree: exp.Expr) -> Found:
    """Not known to mean the same in all dialects."""
    return (node for node in tree.walk() if type(node) not in PORTABLE | _HAVE_A_RULE)


def extreme(tree: exp.Expr) -> Found:
    """LEAST and GREATEST skip nulls here; one null makes the result null in BigQuery."""
    return tree.find_all(exp.Least, exp.Greatest)


def infinity(tree: exp.Expr) -> Found:
    """Only PostgreSQL and DuckDB have infinite times."""
    return (node for node in tree.find_all(exp.Literal) if "infinity" in node.name.lower())


def row_comparison(tree: exp.Expr) -> Found:
    """BigQuery and Snowflake do not order rows, as in (a, b) > (c, d)."""
    return (node for node in tree.find_all(exp.Tuple) if not isinstance(node.parent, exp.Values))


def materialization(tree: exp.Expr) -> Found:
    """MATERIALIZED belongs to PostgreSQL and DuckDB; sqlglot leaves it in."""
    return (node for node in tree.find_all(exp.CTE) if node.args.get("materialized") is not None)


def exists(tree: exp.Expr) -> Found:
    """EXISTS is of use only when correlated, which the other engines support in few places: join instead."""
    return tree.find_all(exp.Exists)


def not_in(tree: exp.Expr) -> Found:
    """NOT IN (SELECT …) with a null among the rows is null here and true in ClickHouse."""
    return (node for node in tree.find_all(exp.Not) if isinstance(node.this, exp.In) and node.this.args.get("query"))


def distinct_on(tree: exp.Expr) -> Found:
    """BigQuery and Snowflake have no DISTINCT ON, and its rewriting by sqlglot has not been compared."""
    return (node for node in tree.find_all(exp.Distinct) if node.args.get("on"))


def division(tree: exp.Expr) -> Found:
    """Whole numbers give a whole number in PostgreSQL, and a fraction in all others."""
    return tree.find_all(exp.Div)


def using(tree: exp.Expr) -> Found:
    """The engines do not agree which column the unqualified name is: join with ON."""
    return (node for node in tree.find_all(exp.Join) if node.args.get("using"))


def join_kind(tree: exp.Expr) -> Found:
    """Only inner, left and cross joins are compared with ClickHouse."""
    return (node for node in tree.find_all(exp.Join) if node.side not in ("", "LEFT") or node.kind not in ("", "CROSS"))


def null_order(tree: exp.Expr) -> Found:
    """DESC puts nulls first in PostgreSQL and last in DuckDB: write DESC NULLS LAST."""
    return (node for node in tree.find_all(exp.Ordered) if node.args.get("desc") and node.args.get("nulls_first"))


def no_table(tree: exp.Expr) -> Found:
    """BigQuery refuses WHERE without FROM."""
    return (node for node in tree.find_all(exp.Select) if node.args.get("where") and not node.args.get("from_"))


def regular_expression(tree: exp.Expr) -> Found:
    """Other engines replace every match, and differ in escapes: a pattern ends with $ and has no backslash."""
    for node in tree.find_all(exp.RegexpReplace):
        pattern = node.expression.name if isinstance(node.expression, exp.Literal) else ""
        if not pattern.endswith("$") or "\\" in pattern or node.args.get("modifiers"):
            yield node


def cast_type(tree: exp.Expr) -> Found:
    """Other types than TEXT, BIGINT, BOOLEAN, DOUBLE PRECISION and times with a zone differ, NUMERIC above all."""
    return (node for node in tree.find_all(exp.Cast) if node.to.this not in _SAFE_TYPES)


def bare_null(tree: exp.Expr) -> Found:
    """A column of bare NULL is a whole number in BigQuery: cast it."""
    for node in tree.find_all(exp.Null):
        column = node.parent if isinstance(node.parent, exp.Alias) else node
        if isinstance(column.parent, exp.Select):
            yield column


def reserved_name(tree: exp.Expr) -> Found:
    """The name is reserved in BigQuery or Snowflake."""
    return (node for node in tree.find_all(exp.Identifier) if node.name.upper() in _RESERVED.split())


def hidden_column(tree: exp.Expr) -> Found:
    """In ClickHouse such a name is the alias of this SELECT, not the column: qualify it."""
    for select in tree.find_all(exp.Select):
        aliases = {one.alias for one in select.expressions if isinstance(one, exp.Alias) and one.this.name != one.alias}
        for node in _own_nodes(select):
            is_key = isinstance(node.parent, exp.Ordered) and node.parent.parent is select.args.get("order")
            if isinstance(node, exp.Column) and not node.table and node.name in aliases and not is_key:
                yield node


def _own_nodes(select: exp.Select) -> Found:
    """Nodes of a SELECT without those of the SELECTs in it."""
    return (
        node
        for node in select.walk(prune=lambda node: node is not select and isinstance(node, exp.Query))
        if node is not select
    )


def correlation(tree: exp.Expr) -> Found:
    """The other engines support correlated subqueries in few places: join instead."""
    return (scope.expression for scope in _scopes(tree) if scope.is_correlated_subquery)


def table_or_column(tree: exp.Expr) -> Found:
    """The name is both a table and a column of this FROM, which BigQuery may take for the other one."""
    for scope in _scopes(tree):
        columns: set[str] = set()
        for source in scope.selected_sources.values():
            found = source[1]
            if isinstance(found, Scope):
                columns |= {*found.expression.named_selects}
            elif isinstance(found, exp.Table):
                columns |= {*_SCHEMA.column_names(found)}
        for name, (node, _) in scope.selected_sources.items():
            if name in columns:
                yield node


def joined_number(tree: exp.Expr) -> Found:
    """BigQuery joins texts only: cast what is none."""
    for node in tree.find_all(exp.DPipe):
        yield from (part for part in (node.left, node.right) if not _is(part, "text", "varchar"))


def rounding(tree: exp.Expr) -> Found:
    """A cast to a whole number rounds here and cuts off in ClickHouse: use floor."""
    for node in tree.find_all(exp.Cast):
        is_whole = isinstance(node.this, exp.Floor | exp.Null | exp.Placeholder) or _is(node.this, "bigint", "int")
        if node.to.is_type("bigint") and not is_whole:
            yield node


def text_of(tree: exp.Expr) -> Found:
    """Each engine writes fractions, truth values and times in its own way; a time must be cast to its type first."""
    for node in tree.find_all(exp.Cast):
        if node.to.is_type("text") and not isinstance(node.this, exp.Null | exp.Placeholder):
            is_marked = isinstance(node.this, exp.Cast) and _is(node.this, "timestamptz")
            if not is_marked and not _is(node.this, "text", "varchar", "int", "bigint", "jsonb"):
                yield node


def difference_of_times(tree: exp.Expr) -> Found:
    """It is an interval here, and a number or an error elsewhere, but for the seconds that `translate` knows."""
    for node in tree.find_all(exp.Sub):
        if not isinstance(node.parent, exp.Extract) and (
            _is(node.left, "timestamptz") or _is(node.right, "timestamptz")
        ):
            yield node


def mixed_comparison(tree: exp.Expr) -> Found:
    """BigQuery and ClickHouse compare values of one type only."""
    for node in tree.find_all(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE):
        if _family(node.left) != _family(node.right):
            yield node


def _is(node: exp.Expr, *types: str) -> bool:
    return node.type is not None and node.is_type(*types)


def _family(node: exp.Expr) -> str:
    families = (("text", "varchar"), ("int", "bigint", "double", "decimal"), ("timestamptz",), ("boolean",))
    return next((family[0] for family in families if _is(node, *family)), "other")


def _scopes(tree: exp.Expr) -> list[Scope]:
    return traverse_scope(tree)


RULES: tuple[Callable[[exp.Expr], Found], ...] = (
    *(unknown, extreme, infinity, row_comparison, materialization, exists, not_in, distinct_on, division, using),
    *(join_kind, null_order, no_table, regular_expression, cast_type, bare_null, reserved_name, hidden_column),
)
TYPED_RULES: tuple[Callable[[exp.Expr], Found], ...] = (
    *(correlation, table_or_column, joined_number, rounding, text_of, difference_of_times, mixed_comparison),
)
"""Rules for a tree whose columns have their table and their type."""


def problems(query: str) -> list[tuple[str, str]]:
    """Give each broken rule with the SQL that breaks it; types are looked at once no other rule is broken."""
    tree = parse_one(query, read="postgres")
    found = _broken(RULES, tree)
    for table in list(tree.find_all(exp.Table)):  # the schema of the columns has one level of names
        if table.db:
            table.replace(exp.alias_(exp.to_table(f"{table.db}_{table.name}"), table.alias_or_name, table=True))
    if not found:
        typed = qualify(tree, schema=_SCHEMA, dialect="postgres", quote_identifiers=False)
        found = _broken(TYPED_RULES, annotate_types(typed, schema=_SCHEMA, dialect="postgres"))
    return found


def _broken(rules: tuple[Callable[[exp.Expr], Found], ...], tree: exp.Expr) -> list[tuple[str, str]]:
    return [(rule.__name__, node.sql("postgres")) for rule in rules for node in rule(tree)]
