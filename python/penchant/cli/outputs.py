"""Where commands write."""

from __future__ import annotations

import tempfile
from pathlib import Path

from .failures import Failure


def require_writable(output: Path) -> None:
    """Makes the output's folder and tries it, so that no work is lost for want of it."""
    if output.is_dir():
        raise Failure(f"--output {output} is a folder; wanted the path of a file", 2)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=output.parent):
        pass
