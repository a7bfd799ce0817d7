"""penchant evaluate, segments"""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..estimators import load
from ..formats.tables import write_whole
from ..run import Run
from ..segmentation import segments as find_segments
from .failures import Failure, explained
from .outputs import require_writable
from .train_data import require_same_data, training_part


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(model, config, overrides, as_json) -> None:
    """Judge MODEL on the test data of CONFIG, over the whole catalogue."""
    with explained(config_errors=True):
        run = Run.from_file(config, overrides)
    with explained():
        fitted = load(model)
        train_part, test = run.data()
        if test is None:
            raise Failure("the config names no test data: set evaluation.test_path or .split", 2)
        require_same_data(fitted, train_part)
        evaluation = run.evaluate(fitted, test, train_part)
        click.echo(json.dumps(evaluation.metrics) if as_json else str(evaluation))


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--config",
    required=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Config whose data section names the training data, which tells of the segments.",
)
@click.option("-k", "count", default=8, show_default=True, help="How many segments.")
@click.option("--on", default="users", show_default=True, type=click.Choice(["users", "items"]))
@click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="SEGMENT=K",
    help="Split a segment further, such as 1=4, then 1.0=2; may be repeated.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--output", "-o", type=click.Path(dir_okay=False), help="CSV of ids and segments.")
@click.option("--plot", type=click.Path(dir_okay=False), help="Picture, such as segments.png.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def segments(model, config, count, on, splits, seed, output, plot, as_json) -> None:
    """Group users or items of MODEL by what it has learned of them, and tell what each likes."""
    with explained(config_errors=True):
        run = Run.from_file(config)
        wanted = [_split(text) for text in splits]
    with explained():
        for path in (output, plot):
            if path:
                require_writable(Path(path))
        fitted = load(model)
        found = find_segments(fitted, count, on, training_part(fitted, run), random_state=seed)
        for segment, parts in wanted:
            found = found.split(segment, parts)
        click.echo(json.dumps(found.table) if as_json else str(found))
        if output:
            write_whole(Path(output), found.to_csv)
            click.echo(f"wrote {output}", err=True)
        if plot:
            found.plot().figure.savefig(plot)
            click.echo(f"wrote {plot}", err=True)


def _split(text: str) -> tuple[str, int]:
    segment, _, parts = text.rpartition("=")
    if not segment or not parts.isdigit() or int(parts) < 1:
        raise ValueError(f"--split wants SEGMENT=K, such as 1=4; got {text!r}")
    return segment, int(parts)
