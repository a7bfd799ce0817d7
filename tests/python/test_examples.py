"""Docstring and README examples run as written."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import penchant
import pytest

MODULES = ["penchant"] + [
    f"penchant.{m.name}"
    for m in pkgutil.iter_modules(penchant.__path__)
    if m.name not in ("_penchant", "cli")
]


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_readme_example(movielens):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(compile(code.group(1), "README.md", "exec"), {})
