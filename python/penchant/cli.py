"""The penchant command.

Exit codes: 0 done; 1 the work failed (bad data, numeric failure, refused device); 2 the command
line or config is wrong; 130 stopped by Ctrl-C or SIGTERM (with a checkpoint, if they are on).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path

import click

from . import _penchant
from .doctor import doctor as doctor_facts
from .estimators import load
from .formats import FORMATS
from .formats import export as export_formats
from .formats.tables import write_whole
from .interactions import Interactions
from .progress import Progress
from .reader import apply_delta
from .run import Run
from .segmentation import segments as find_segments

STOPPED = 130


class Failure(click.ClickException):
    """An error to show without a traceback, with its exit code."""

    def __init__(self, message: str, exit_code: int = 1):
        super().__init__(message)
        self.exit_code = exit_code


@contextlib.contextmanager
def _explained(config_errors: bool = False):
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


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog=__doc__.split("\n\n")[1]
)
@click.version_option(_penchant.version(), prog_name="penchant")
def main() -> None:
    """Train, judge and ask personalization models."""


class _StopAfterIteration:
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
        click.echo("stopping after this iteration; Ctrl-C again stops at once", err=True)

    def __exit__(self, *exc_info):
        for number, handler in self._old.items():
            signal.signal(number, handler)


@main.command()
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
    with _explained(config_errors=True):
        run = Run.from_file(config, overrides)
    output = output or run.output
    if output is None:
        raise Failure("nowhere to write the model: set output in the config or pass --output", 2)
    with _explained(), _StopAfterIteration() as stop:
        _require_writable(Path(output))
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
        if test is not None:
            evaluation = run.evaluate(model, test)
            model._core.add_metrics(evaluation.metrics)
            click.echo(str(evaluation))
        model.save(output)
        click.echo(f"wrote {output}")


def _require_writable(output: Path) -> None:
    """Makes the output's folder and tries it, so that no training is lost for want of it."""
    if output.is_dir():
        raise Failure(f"--output {output} is a folder; wanted the path of a file", 2)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=output.parent):
        pass


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


_CONFIG_OPTION = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="Config whose data section names the columns (and the training data).",
)


@main.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE")
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as JSON.")
def evaluate(model, config, overrides, as_json) -> None:
    """Judge MODEL on the test data of CONFIG, over the whole catalogue."""
    with _explained(config_errors=True):
        run = Run.from_file(config, overrides)
    with _explained():
        fitted = load(model)
        train_part, test = run.data()
        if test is None:
            raise Failure("the config names no test data: set evaluation.test_path or .split", 2)
        _require_same_data(fitted, train_part)
        evaluation = run.evaluate(fitted, test, train_part)
        click.echo(json.dumps(evaluation.metrics) if as_json else str(evaluation))


def _require_same_data(fitted, interactions) -> None:
    seen = fitted.manifest["data"]["xxh3"]
    wanted = f"{interactions._core.fingerprint():016x}"
    if seen != wanted:
        raise Failure(
            f"the model was trained on other interactions (fingerprint {seen}) than this config "
            f"reads (fingerprint {wanted}); their rows need not mean the same ids"
        )


def _training_part(fitted, run: Run) -> Interactions:
    """What the model was trained on, read again."""
    train_part, _ = run.data()
    _require_same_data(fitted, train_part)
    return train_part


def _id(text: str, dictionary, side: str):
    """The id that `text` names among the model's users or items."""
    try:
        given = text if dictionary.is_string else int(text)
    except ValueError as error:
        raise Failure(f"this model's {side} are integers; got {text!r}", 2) from error
    if dictionary.rows([given])[0] < 0:
        raise Failure(
            f"{text!r} is not among the {len(dictionary):,} {side} this model was trained on"
        )
    return given


def _print_ranked(ids, scores, as_json) -> None:
    if as_json:
        rows = [
            {"id": getattr(i, "item", lambda i=i: i)(), "score": float(s)}
            for i, s in zip(ids, scores)
        ]
        click.echo(json.dumps(rows))
        return
    for rank, (i, score) in enumerate(zip(ids, scores), 1):
        click.echo(f"{rank:4d}  {i!s:24}  {score:.4f}")


@main.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--user", required=True, help="User id.")
@click.option("-n", "--count", default=10, show_default=True, help="How many items.")
@_CONFIG_OPTION
@click.option("--json", "as_json", is_flag=True)
def recommend(model, user, count, config, as_json) -> None:
    """The best items of MODEL for a user; with --config, without those the user already has."""
    with _explained():
        fitted = load(model)
        history = None
        if config:
            fitted._interactions = _training_part(fitted, Run.from_file(config))
        else:
            click.echo("items the user already has are not left out: pass --config", err=True)
        ids, scores = fitted.recommend(
            _id(user, fitted._core.users, "users"),
            history,
            N=count,
            filter_already_liked_items=config is not None,
        )
        _print_ranked(ids, scores, as_json)


@main.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--item", help="Item id.")
@click.option("--user", help="User id.")
@click.option("-n", "--count", default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def similar(model, item, user, count, as_json) -> None:
    """The items most like an item of MODEL, or the users most like a user."""
    if (item is None) == (user is None):
        raise Failure("give one of --item and --user", 2)
    with _explained():
        fitted = load(model)
        if item is not None:
            ids, scores = fitted.similar_items(_id(item, fitted._core.items, "items"), N=count)
        else:
            ids, scores = fitted.similar_users(_id(user, fitted._core.users, "users"), N=count)
        _print_ranked(ids, scores, as_json)


@main.command()
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
    with _explained(config_errors=True):
        run = Run.from_file(config)
        wanted = [_split(text) for text in splits]
    with _explained():
        fitted = load(model)
        found = find_segments(fitted, count, on, _training_part(fitted, run), random_state=seed)
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


@main.command()
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
@_CONFIG_OPTION
def export(model, to, dtype, output, top_n, ann, kind, since, config) -> None:
    """Write MODEL in the formats that serving systems load.

    Lists (redis, sqlite, duckdb) leave out what users have: --config tells where that is read.
    """
    with _explained(config_errors=True):
        run = Run.from_file(config) if config else None
    with _explained():
        fitted = load(model)
        seen = None if run is None else _training_part(fitted, run)
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


@main.command("apply-delta")
@click.argument("base", type=click.Path(exists=True, dir_okay=False))
@click.argument("delta", type=click.Path(exists=True, dir_okay=False))
@click.argument("output", type=click.Path(dir_okay=False))
def apply_delta_command(base, delta, output) -> None:
    """Write to OUTPUT the artifact that DELTA (export --since) leads to from BASE."""
    with _explained():
        apply_delta(base, delta, output)
        click.echo(f"wrote {output} ({os.path.getsize(output):,} bytes)")


@main.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as it is stored.")
def inspect(model, as_json) -> None:
    """What MODEL says about itself: algorithm, config, data, metrics, history."""
    with _explained():
        fitted = load(model)
        if as_json:
            click.echo(fitted._core.manifest_json())
            return
        manifest = fitted.manifest
        data = manifest["data"]
        click.echo(
            f"{model}: {manifest['kind']} of algorithm {manifest['algorithm']}, written by "
            f"Penchant {manifest['penchant_version']} ({os.path.getsize(model):,} bytes)"
        )
        click.echo(
            f"  {int(data['num_interactions']):,} interactions, {int(data['num_users']):,} "
            f"users, {int(data['num_items']):,} items; fingerprint {data['xxh3']}"
        )
        click.echo(f"  {fitted!r}")
        click.echo(f"  iterations done: {manifest.get('iterations_done', 0)}")
        for metric in manifest.get("metrics", []):
            click.echo(f"  {metric['name']}: {metric['value']:.4f}")


@main.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(as_json) -> None:
    """What this installation can do on this machine, and why not more."""
    facts = doctor_facts()
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    isa = facts["isa"]
    click.echo(f"penchant  {facts['penchant']} on Python {facts['python']}, {facts['platform']}")
    click.echo(
        f"CPU       kernels {isa['selected']}; this machine runs {', '.join(isa['supported'])}; "
        f"{facts['threads']} threads"
    )
    click.echo(f"memory    {facts['memory_available_bytes'] / 1e9:.1f} GB available")
    click.echo(f"BLAS      {facts['blas']}")
    cuda = facts["cuda"]
    for index, device in enumerate(cuda["devices"]):
        click.echo(
            f"GPU       cuda:{index} {device['name']}, compute capability "
            f"{device['compute_capability']}, {device['free_bytes'] / 1e9:.1f} of "
            f"{device['memory_bytes'] / 1e9:.1f} GB free"
        )
    click.echo(f"driver    {cuda['driver'] or 'no NVIDIA driver is loaded'}")
    click.echo("CUDA      usable" if cuda["usable"] else f"CUDA      not usable: {cuda['reason']}")


@main.command()
@click.argument("config", type=click.Path(exists=True, dir_okay=False))
@click.option("--set", "overrides", multiple=True, metavar="FIELD=VALUE")
@click.option("--trials", default=30, show_default=True, help="Finished trials wanted in all.")
@click.option("--metric", default="ndcg@20", show_default=True)
@click.option("--storage", help="Optuna storage URL, e.g. sqlite:///study.db; makes it resumable.")
def tune(config, overrides, trials, metric, storage) -> None:
    """Search for parameters on the training data of CONFIG; its test data is not looked at."""
    from .estimators import from_config
    from .tuning import tune as search

    with _explained(config_errors=True):
        run = Run.from_file(config, overrides)
    with _explained():
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


if __name__ == "__main__":
    sys.exit(main())
