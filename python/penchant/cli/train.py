"""penchant train, tune"""

from __future__ import annotations

from pathlib import Path

import click

from ..estimators import from_config, load
from ..interactions import Interactions
from ..progress import Progress
from ..run import Run
from .failures import STOPPED, Failure, StopAfterIteration, explained
from .outputs import require_writable


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Override a config field, e.g. --set als.factors=64. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Go on from the checkpoint in checkpoint.directory.")
@click.option(
    "--warm-start",
    type=click.Path(exists=True, dir_okay=False),
    help="Start from the factors of this model.",
)
@click.option("--loss", is_flag=True, help="Compute and show the objective after every iteration.")
@click.option("--output", "-o", type=click.Path(), help="Where to write the model.")
def train(config, overrides, resume, warm_start, loss, output) -> None:
    """Train the model that CONFIG (a .textproto file) describes, judge it and save it."""
    with explained(config_errors=True):
        run = Run.from_file(config, overrides)
    output = output or run.output
    if output is None:
        raise Failure("nowhere to write the model: set output in the config or pass --output", 2)
    with explained(), StopAfterIteration() as stop:
        require_writable(Path(output))
        earlier = load(warm_start) if warm_start else None
        interactions, test = run.data(grow=earlier)
        _tell(run.report)
        click.echo(f"training on {_counts(interactions)}", err=True)
        if test is not None and test.report["rows_cold"]:
            click.echo(
                f"{test.report['rows_cold']:,} test rows of users without training rows are "
                "left out",
                err=True,
            )
        with Progress("training") as progress:

            def on_iteration(iteration, total, seconds, objective, validation, checkpointed):
                progress.update(iteration, total, seconds, objective, validation)
                return not stop.requested

            model = run.train(interactions, resume, earlier, on_iteration, loss)
        if stop.requested:
            kept = run.fields["checkpoint_directory"]
            raise Failure(
                f"stopped; go on with --resume (checkpoint in {kept})"
                if kept
                else "stopped; no checkpoint.directory is set, so the work is lost",
                STOPPED,
            )
        if model.manifest.get("parts_done"):
            click.echo(
                f"time was over within iteration {model.manifest['iterations_done'] + 1}", err=True
            )
        if test is not None:
            evaluation = run.evaluate(model, test)
            model._core.add_metrics(evaluation.metrics)
            click.echo(str(evaluation))
        model.save(output)
        click.echo(f"wrote {output}")


def _counts(interactions: Interactions) -> str:
    return (
        f"{interactions.nnz:,} interactions of {interactions.num_users:,} users and "
        f"{interactions.num_items:,} items"
    )


def _tell(report: dict) -> None:
    """What reading refused, dropped and merged, so that nothing goes silently."""
    said = {
        "rows_bad": "bad rows refused (data.max_bad_rows), such as",
        "rows_zero_weight": "rows of zero weight dropped",
        "rows_merged": "rows merged into earlier ones of the same pair",
    }
    click.echo(f"{report['rows_read']:,} rows read", err=True)
    for name, text in said.items():
        if report[name]:
            click.echo(f"{report[name]:,} {text}", err=True)
        if name == "rows_bad":
            for row in report["first_bad"]:
                click.echo(f"  {row}", err=True)


@click.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE")
@click.option("--trials", default=30, show_default=True, help="Finished trials wanted in all.")
@click.option("--metric", default="ndcg@20", show_default=True)
@click.option("--storage", help="Optuna storage URL, e.g. sqlite:///study.db; makes it resumable.")
def tune(config, overrides, trials, metric, storage) -> None:
    """Search for parameters on the training data of CONFIG; its test data is not looked at."""
    from ..tuning import tune as search

    with explained(config_errors=True):
        run = Run.from_file(config, overrides)
    with explained():
        interactions, _ = run.data()
        study = search(
            interactions,
            estimator=from_config(run.fields),
            trials=trials,
            metric=metric,
            storage=storage,
            seed=int(run.fields["seed"]),
        )
        click.echo(f"best {metric} on held-out interactions: {study.best_value:.4f}")
        algorithm = run.fields["algorithm"]
        for name, value in study.best_params.items():
            click.echo(f"  --set {algorithm}.{name}={value:.6g}")
        if algorithm == "als":
            click.echo(f"  --set als.iterations={study.best_trial.user_attrs['iterations']}")
