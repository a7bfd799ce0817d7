"""The penchant command.

Exit codes: 0 done; 1 the work failed (bad data, numeric failure, refused device); 2 the command
line or config is wrong; 130 stopped by Ctrl-C or SIGTERM (with a checkpoint, if they are on).
"""

from __future__ import annotations

import click

from .. import _penchant
from .ask import recommend, similar
from .export import apply_delta, export
from .inspect import doctor, inspect
from .judge import evaluate, segments
from .train import train, tune


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=__doc__.split("\n\n")[1]
)
@click.version_option(_penchant.version(), prog_name="penchant")
def main() -> None:
    """Train, judge and ask personalization models."""


for command in (
    train,
    evaluate,
    recommend,
    similar,
    segments,
    export,
    apply_delta,
    inspect,
    doctor,
    tune,
):
    main.add_command(command)
