"""Errors as people of the shell read them, with exit codes, and stopping by Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal

import click

from .. import _penchant

STOPPED = 130


class Failure(click.ClickException):
    """An error to show without a traceback, with its exit code."""

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code


@contextlib.contextmanager
def explained(config_errors: bool = False):
    """Turns the library's exceptions into messages and exit codes."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Failure("stopped", STOPPED) from error
    except (_penchant.DataError, ValueError) as error:
        raise Failure(str(error), 2 if config_errors else 1) from error
    except (
        OSError,
        _penchant.DeviceError,
        _penchant.NumericError,
        TypeError,
        ImportError,
    ) as error:
        raise Failure(str(error)) from error


class StopAfterIteration:
    """First SIGINT or SIGTERM: finish the iteration, write a checkpoint. Second: stop now."""

    def __init__(self):
        self.requested = False

    def __enter__(self):
        self._old = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _handle(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Not by Python's stream: the signal may have come while that writes a line of progress.
        os.write(2, b"stopping after this iteration; Ctrl-C again stops at once\n")

    def __exit__(self, *exc_info):
        for number, handler in self._old.items():
            signal.signal(number, handler)
