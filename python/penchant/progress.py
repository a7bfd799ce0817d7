"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time


class Progress:
    """Shows iterations. Use as a context manager; `update` after each one."""

    def __init__(self, label: str, enabled: bool = True, stream=None):
        self._label = label
        self._enabled = enabled
        self._stream = stream or sys.stderr
        self._bar = None
        self._task = None
        self._start = time.monotonic()

    def __enter__(self):
        if self._enabled and self._stream.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                TextColumn,
                TimeElapsedColumn,
                TimeRemainingColumn,
            )
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[detail]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
            )
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=None, detail="")
        return self

    def update(self, iteration, total, seconds, loss, validation) -> None:
        if not self._enabled:
            return
        detail = f"{1 / max(seconds, 1e-9):.2f} it/s"
        if loss is not None:
            detail += f"  loss {loss:,.1f}"
        if validation is not None:
            detail += f"  validation {validation:.4f}"
        if self._bar is not None:
            self._bar.update(self._task, total=total, completed=iteration, detail=detail)
        else:
            left = (total - iteration) * seconds
            print(
                f"{self._label}: iteration {iteration}/{total}  {detail}  {left:.0f} s left",
                file=self._stream,
                flush=True,
            )

    def __exit__(self, *exc_info):
        if self._bar is not None:
            self._bar.stop()
