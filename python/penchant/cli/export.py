"""penchant export, apply-delta"""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..estimators import load
from ..formats import FORMATS
from ..formats import export as export_formats
from ..reader import apply_delta as apply
from ..run import Run
from .failures import explained
from .train_data import CONFIG_OPTION, training_part


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--to",
    default="artifact",
    show_default=True,
    metavar="FORMAT,...",
    help=f"Of {', '.join(FORMATS)}.",
)
@click.option("--dtype", default="float32", show_default=True, help="Number type of the factors.")
@click.option(
    "--output",
    "-o",
    default=".",
    show_default=True,
    type=click.Path(file_okay=False),
    help="Folder.",
)
@click.option(
    "--top-n", default=100, show_default=True, help="Items a user: redis, sqlite, duckdb."
)
@click.option("--ann", is_flag=True, help="Approximate search (faiss).")
@click.option(
    "--kind",
    default="full",
    show_default=True,
    type=click.Choice(["full", "items", "users"]),
    help="What the artifact holds: items has no user row.",
)
@click.option(
    "--since",
    type=click.Path(exists=True, dir_okay=False),
    help="An earlier artifact: write what changed since (apply-delta).",
)
@CONFIG_OPTION
def export(model, to, dtype, output, top_n, ann, kind, since, config) -> None:
    """Write MODEL in the formats that serving systems load.

    Lists (redis, sqlite, duckdb) leave out what users have: --config tells where that is read.
    """
    with explained(config_errors=True):
        run = Run.from_file(config) if config else None
    with explained():
        fitted = load(model)
        seen = None if run is None else training_part(fitted, run)
        names = [part.strip() for part in to.split(",")]
        paths = export_formats(
            fitted,
            output,
            names,
            name=Path(model).stem,
            dtype=dtype,
            top_n=top_n,
            seen=seen,
            ann=ann,
            kind=kind,
            since=since,
        )
        for path in paths:
            size = sum(f.stat().st_size for f in [path, *path.rglob("*")] if f.is_file())
            click.echo(f"wrote {path} ({size:,} bytes)")


@click.command("apply-delta")
@click.argument("base", type=click.Path(exists=True, dir_okay=False))
@click.argument("delta", type=click.Path(exists=True, dir_okay=False))
@click.argument("output", type=click.Path(dir_okay=False))
def apply_delta(base, delta, output) -> None:
    """Write to OUTPUT the artifact that DELTA (export --since) leads to from BASE."""
    with explained():
        apply(base, delta, output)
        click.echo(f"wrote {output} ({os.path.getsize(output):,} bytes)")
