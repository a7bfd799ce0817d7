"""Configs as text proto."""

from __future__ import annotations

import json


def quoted(text: object) -> str:
    """A string as text proto writes it."""
    return json.dumps(str(text))


def message(name: str, fields: dict) -> str:
    """A message of these fields; None is left out."""
    body = " ".join(
        f"{key}: {_literal(value)}" for key, value in fields.items() if value is not None
    )
    return f"{name} {{ {body} }}"


def _literal(value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else str(value)
