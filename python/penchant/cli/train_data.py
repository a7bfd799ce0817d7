"""What a model was trained on, read again by a config."""

from __future__ import annotations

import click

from ..interactions import Interactions
from ..run import Run
from .failures import Failure

CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="Config whose data section names the columns (and the training data).",
)


def require_same_data(fitted, interactions) -> None:
    seen = fitted.manifest["data"]["xxh3"]
    wanted = f"{interactions._core.fingerprint():016x}"
    if seen != wanted:
        raise Failure(
            f"the model was trained on other interactions (fingerprint {seen}) than this config "
            f"reads (fingerprint {wanted}); their rows need not mean the same ids"
        )


def training_part(fitted, run: Run) -> Interactions:
    """What the model was trained on, read again."""
    train_part, _ = run.data()
    require_same_data(fitted, train_part)
    return train_part
