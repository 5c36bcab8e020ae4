"""Privileges and options of the views: PostgreSQL drops them with a view, so they are read before and restored after.

DuckDB has no privileges.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, text

from roomledger.warehouse.views import VIEWS


class Privilege(NamedTuple):
    """A privilege of one role on a view, or on one column of it."""

    kind: str
    """SELECT, INSERT, …"""
    column: str | None
    role: str
    """Quoted, ready for SQL; PUBLIC is everybody."""
    is_grantable: bool


@dataclass(slots=True)
class Access:
    """The options and privileges of a view."""

    options: list[str]
    """Such as `security_invoker=true`."""
    privileges: set[Privilege] = field(default_factory=set)
    """Without those of the current user, who owns each view that it creates."""


def read(tx: Connection) -> dict[str, Access]:
    """Give the access to each existing view."""
    if tx.dialect.name != "postgresql":
        return {}
    views = {"views": [view.name for view in VIEWS]}
    found = {name: Access(options or []) for name, options in tx.execute(_OPTIONS, views)}
    for name, *privilege in tx.execute(_PRIVILEGES, views):
        found[name].privileges.add(Privilege(*privilege))
    return found


def restore(tx: Connection, before: Mapping[str, Access]) -> None:
    """Restore what `read` gave, and revoke the default privileges that the views did not have."""
    now = read(tx)
    for view in VIEWS:
        if view.name not in before:
            continue
        then = before[view.name]
        if then.options:
            _execute(tx, f"ALTER VIEW {view.name} SET ({', '.join(then.options)})")
        # Revoke first: REVOKE on a view revokes the same privilege on its columns.
        for one in now[view.name].privileges - then.privileges:
            _execute(tx, f"REVOKE {_of(one)} ON {view.name} FROM {one.role}")
        for one in then.privileges:
            if one.column is None or one.column in view.columns:
                option = " WITH GRANT OPTION" if one.is_grantable else ""
                _execute(tx, f"GRANT {_of(one)} ON {view.name} TO {one.role}{option}")


def _execute(tx: Connection, statement: str) -> None:
    tx.execute(text(statement.replace(":", "\\:")))  # a role name may contain a colon, such as oidc:ana


def _of(privilege: Privilege) -> str:
    return privilege.kind if privilege.column is None else f"{privilege.kind} ({privilege.column})"


_OURS = """
relkind = 'v' AND relname IN :views
AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
"""
_OPTIONS = text(f"SELECT relname, reloptions FROM pg_class WHERE {_OURS}").bindparams(
    bindparam("views", expanding=True)
)
_PRIVILEGES = text(f"""
SELECT DISTINCT relname, privilege_type, attname,
       CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, is_grantable
FROM (
    SELECT oid AS attrelid, NULL AS attname, COALESCE(relacl, acldefault('r', relowner)) AS acl FROM pg_class
    UNION ALL SELECT attrelid, attname, attacl FROM pg_attribute WHERE NOT attisdropped
) AS granted JOIN pg_class ON pg_class.oid = attrelid, aclexplode(acl)
WHERE {_OURS} AND pg_get_userbyid(grantee) <> current_user
""").bindparams(bindparam("views", expanding=True))
