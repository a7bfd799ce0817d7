"""Business rules as text, compiled to conditions and the items they deny."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from .ids import as_ids

GRAMMAR = (
    "[if FIELD (== | != | in) VALUE [and ...] then] (deny | only) ATTRIBUTE VALUE, "
    'where a VALUE is "text" or ["text", "text"]'
)
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|[\[\],])|"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<word>[\w.-]+))"""
)


class _Words:
    """The tokens of a rule, taken one by one."""

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.error(f"cannot read {text[at:].strip()[:20]!r}")
            kind = "text" if match.lastgroup in ("double", "single") else match.lastgroup
            self.tokens.append((kind, match.group(match.lastgroup)))
            at = match.end()

    def error(self, what: str) -> ValueError:
        return ValueError(f"rule {self.text!r}: {what}; wanted {GRAMMAR}")

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else "the end"

    def take(self, *wanted: str) -> str:
        """The next token, which must be one of ``wanted`` (none: any word)."""
        found = self.peek()
        if not self.tokens or (wanted and found not in wanted):
            raise self.error(f"found {found!r} where {' or '.join(wanted) or 'a name'} belongs")
        return self.tokens.pop(0)[1]

    def value(self) -> list[str]:
        """A text, a bare word, or a list of them."""
        if self.peek() != "[":
            if not self.tokens or self.tokens[0][0] == "op":
                raise self.error(f"found {self.peek()!r} where a value belongs")
            return [self.take()]
        self.take("[")
        values = self.value()
        while self.take(",", "]") == ",":
            values += self.value()
        return values


def _parse(text: str):
    """(conditions, "deny" or "only", attribute, values) of a rule."""
    words = _Words(text)
    conditions = []
    if words.peek() == "if":
        words.take("if")
        while True:
            field, comparison = words.take(), words.take("==", "!=", "in")
            conditions.append((field, "==" if comparison == "in" else comparison, words.value()))
            if words.take("and", "then") == "then":
                break
    verb, attribute = words.take("deny", "only"), words.take()
    if words.peek() in ("==", "in"):
        words.take()
    values = words.value()
    if words.tokens:
        raise words.error(f"{words.peek()!r} is left over")
    return conditions, verb, attribute, values


def compile_rules(
    rules: Sequence[str], attributes: Mapping[str, tuple[np.ndarray, dict[str, int]]]
) -> list[tuple[str, list, np.ndarray]]:
    """Rules as `_penchant.export_model` takes them.

    ``attributes`` has, by name, the codes of all items (-1: no value) and the code of each value.

    >>> codes = (np.array([0, 1, -1]), {"wine": 0, "tea": 1})
    >>> rules = ["if country == 'SA' then deny category wine"]
    >>> [(text, conditions, denied)] = compile_rules(rules, {"category": codes})
    >>> conditions, denied.tolist()
    ([('country', '==', ['SA'])], [1, 0, 0])
    """
    compiled = []
    for text in rules:
        conditions, verb, attribute, values = _parse(text)
        if attribute not in attributes:
            known = ", ".join(attributes) or "none"
            raise ValueError(
                f"rule {text!r}: there is no item attribute {attribute!r}; item_attributes= has "
                f"{known}"
            )
        codes, names = attributes[attribute]
        unknown = [value for value in values if value not in names]
        if unknown:
            raise ValueError(f"rule {text!r}: no item's {attribute} is {unknown[0]!r}")
        named = np.isin(codes, [names[value] for value in values])
        denied = named if verb == "deny" else ~named
        compiled.append((text, conditions, denied.astype(np.uint8)))
    return compiled


def attribute_codes(name: str, values, items) -> tuple[np.ndarray, dict[str, int]]:
    """Codes of an attribute by item row, -1 where there is no value, and the code of each value."""
    count = len(items)
    by_row: list = [None] * count
    if isinstance(values, Mapping):
        ids = list(values)
        for row, item in zip(items.rows(as_ids(items, ids, f"attribute {name!r}")), ids):
            if row >= 0:  # an item that nobody had is in no table
                by_row[row] = values[item]
    else:
        by_row = list(values)
        if len(by_row) != count:
            raise ValueError(
                f"attribute {name!r} has {len(by_row)} values for {count} items; wanted one an "
                "item row, or a mapping of item id to value"
            )
    names: dict[str, int] = {}
    codes = [-1 if value is None else names.setdefault(str(value), len(names)) for value in by_row]
    return np.array(codes, dtype=np.int32).reshape(-1), names
