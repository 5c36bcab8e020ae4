"""Evaluates a Terraform module as far as ours need it, so that tests can compare its resources with a plan.

The syntax is parsed by python-hcl2. The values of expressions follow the language reference of Terraform: `for` goes
through maps and sets in the order of their keys, and the branch of a conditional that is not chosen is not evaluated.
Values that only a provider knows, such as ARNs, come from the caller.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import hcl2
from lark import Token, Tree

Computed = Callable[[str, str, dict[str, Any]], dict[str, Any]]
"""From type, name and attributes of a resource or data source to the attributes that its provider computes."""

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *lists: [item for each in lists for item in each],
    "jsonencode": json.dumps,
    "keys": sorted,
    "merge": lambda *maps: {key: value for each in maps for key, value in each.items()},
    "one": lambda items: items[0] if items else None,
    "replace": lambda text, old, new: text.replace(old, new),
    "toset": lambda items: sorted(set(items)),
    "trimsuffix": lambda text, suffix: text.removesuffix(suffix),
    "urlencode": quote_plus,
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "&&": lambda left, right: left and right,
}
_META = ("for_each", "count", "depends_on", "dynamic")


class TerraformModule:
    """The resources, data sources and outputs of one file with these variables."""

    def __init__(self, path: Path, variables: Mapping[str, Any], computed: Computed) -> None:
        self._computed = computed
        self.blocks: dict[tuple[str, ...], Tree[Token]] = {}
        self._locals: dict[str, Tree[Token]] = {}
        defaults: dict[str, Any] = {}
        for block in _children(_children(hcl2.parses_to_tree(path.read_text("utf-8")))[0]):
            *labels, body = _trees(block)
            kind, *names = map(_name, labels)
            if kind == "locals":
                self._locals |= dict(_attributes(body))
                continue
            assert (kind, *names) not in self.blocks
            self.blocks[kind, *names] = body
            if kind == "variable":
                settings = dict(_attributes(body))
                defaults |= {names[0]: self._value(settings["default"], {})} if "default" in settings else {}
        self._variables = defaults | variables
        self.resource = cache(self._resource)

    def resources(self) -> dict[str, list[dict[str, Any]]]:
        """The attributes of all instances, by type."""
        found: dict[str, list[dict[str, Any]]] = {}
        for address in [address for address in self.blocks if address[0] == "resource"]:
            instances = deepcopy(self.resource(address))
            body = self.blocks[address]
            meta = {key for key, _ in _attributes(body)} & {"for_each", "count"}
            found[address[1]] = found.get(address[1], []) + (_items(instances) if meta else [instances])
        return found

    def output(self, name: str) -> Any:
        """The value of an output."""
        return self._value(dict(_attributes(self.blocks["output", name]))["value"], {})

    def values(self, address: tuple[str, ...]) -> dict[str, Any]:
        """The attributes of any block, by its kind and labels."""
        return self._body(self.blocks[address], {})

    def _resource(self, address: tuple[str, ...]) -> Any:
        """One instance; or a list of them by `count`, or a dictionary by `for_each`."""
        body = self.blocks[address]
        meta = {key: tree for key, tree in _attributes(body) if key in _META}
        if "count" in meta:
            return [self._instance(address, body, {}) for _ in range(self._value(meta["count"], {}))]
        if "for_each" in meta:
            each = self._value(meta["for_each"], {})
            pairs = each.items() if isinstance(each, dict) else zip(each, each, strict=True)
            return {key: self._instance(address, body, {"each": {"key": key, "value": value}}) for key, value in pairs}
        return self._instance(address, body, {})

    def _instance(self, address: tuple[str, ...], body: Tree[Token], scope: dict[str, Any]) -> dict[str, Any]:
        values = self._body(body, scope)
        return values | self._computed(address[1], address[2], values)

    def _body(self, body: Tree[Token], scope: dict[str, Any]) -> dict[str, Any]:
        values = {key: self._value(tree, scope) for key, tree in _attributes(body) if key not in _META}
        values = {key: value for key, value in values.items() if value is not None}
        for block in _children(body, "block"):
            *labels, inner = _trees(block)
            kind, *names = map(_name, labels)
            if kind != "dynamic":
                values.setdefault(kind, []).append(self._body(inner, scope))
                continue
            (label,), (content,) = names, _children(inner, "block")
            for key, value in self._value(dict(_attributes(inner))["for_each"], scope).items():
                within = scope | {label: {"key": key, "value": value}}
                values.setdefault(label, []).append(self._body(_trees(content)[-1], within))
        return values

    def _root(self, name: str, scope: Mapping[str, Any]) -> Any:
        match name:
            case "var":
                return self._variables
            case "local":
                return _Lazy(lambda key: self._value(self._locals[key], {}))
            case "data":
                return _Lazy(lambda kind: _Lazy(lambda key: self.resource(("data", kind, key))))
        return scope[name] if name in scope else _Lazy(lambda key: self.resource(("resource", name, key)))

    def _value(self, node: Tree[Token], scope: dict[str, Any]) -> Any:
        children = _children(node)
        match str(node.data):
            case "expr_term":
                return self._value(_trees(node)[0], scope)
            case "identifier":
                return self._root(str(children[0]), scope)
            case "literal_value":
                return {"true": True, "false": False, "null": None}[children[0]]
            case "int_lit":
                return int(children[0])
            case "string":
                return "".join(self._part(part, scope) for part in children[1:-1])
            case "tuple":
                return [self._value(child, scope) for child in _trees(node)]
            case "object":
                pairs = map(_trees, _children(node, "object_elem"))
                return {_name(key): self._value(value, scope) for key, value in pairs}
            case "conditional":
                test, chosen, other = _trees(node)
                return self._value(chosen if self._value(test, scope) else other, scope)
            case "binary_op":
                left, term = children
                operator, right = _children(term)
                return _OPERATORS[_children(operator)[0]](self._value(left, scope), self._value(right, scope))
            case "function_call":
                name, *arguments = _trees(node)
                values = [value for each in arguments for value in _trees(each)]
                return _FUNCTIONS[_name(name)](*(self._value(value, scope) for value in values))
            case "get_attr_expr_term":
                return self._value(children[0], scope)[_name(_children(children[1])[-1])]
            case "index_expr_term":
                index = _trees(children[1])[0]
                return self._value(children[0], scope)[self._value(index, scope)]
            case "full_splat_expr_term":
                [attribute] = _children(children[1], "get_attr")
                return [item[_name(_children(attribute)[-1])] for item in self._value(children[0], scope)]
            case "for_tuple_expr":
                [value] = [tree for tree in _trees(node) if tree.data not in ("for_intro", "for_cond")]
                return [self._value(value, within) for within in self._loop(node, scope)]
            case "for_object_expr":
                key, value = [tree for tree in _trees(node) if tree.data not in ("for_intro", "for_cond")]
                return {self._value(key, within): self._value(value, within) for within in self._loop(node, scope)}
        raise NotImplementedError(node.data)

    def _loop(self, node: Tree[Token], scope: dict[str, Any]) -> list[dict[str, Any]]:
        """The scope of each element that fulfils the condition."""
        *names, items = _trees(_children(node, "for_intro")[0])
        found = self._value(items, scope)
        keyed = sorted(found.items()) if isinstance(found, dict) else list(enumerate(found))
        pairs = [dict(zip(map(_name, names), pair[-len(names) :], strict=True)) for pair in keyed]
        conditions = [_children(condition)[-1] for condition in _children(node, "for_cond")]
        return [scope | p for p in pairs if all(self._value(condition, scope | p) for condition in conditions)]

    def _part(self, part: Tree[Token], scope: dict[str, Any]) -> str:
        [child] = part.children
        if isinstance(child, Token):
            return child[1:] if child.type == "ESCAPED_INTERPOLATION" else str(json.loads(f'"{child}"'))
        return str(self._value(_children(child)[1], scope))


class _Lazy:
    """Values by name that are evaluated when they are used."""

    def __init__(self, get: Callable[[str], Any]) -> None:
        self._get = get

    def __getitem__(self, name: str) -> Any:
        return self._get(name)


def _children(node: Any, kind: str | None = None) -> list[Any]:
    trees = [child for child in node.children if not (isinstance(child, Tree) and child.data == "new_line_or_comment")]
    return [child for child in trees if kind is None or (isinstance(child, Tree) and child.data == kind)]


def _trees(node: Any) -> list[Any]:
    return [child for child in _children(node) if isinstance(child, Tree)]


def _attributes(body: Tree[Token]) -> list[tuple[str, Tree[Token]]]:
    parts = [_children(attribute) for attribute in _children(body, "attribute")]
    return [(_name(name), value) for name, _, value in parts]


def _name(node: Any) -> str:
    """The text of an identifier, keyword or string without interpolation."""
    return "".join(str(token) for token in node.scan_values(lambda _: True)).strip('"')


def _items(instances: Any) -> list[dict[str, Any]]:
    return list(instances.values()) if isinstance(instances, dict) else list(instances)
