"""penchant recommend, similar"""

from __future__ import annotations

import json

import click

from ..estimators import load
from ..run import Run
from .failures import Failure, explained
from .train_data import CONFIG_OPTION, training_part


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--user", required=True, help="User id.")
@click.option("-n", "--count", default=10, show_default=True, help="How many items.")
@CONFIG_OPTION
@click.option("--json", "as_json", is_flag=True)
def recommend(model, user, count, config, as_json) -> None:
    """The best items of MODEL for a user; with --config, without those the user already has."""
    with explained():
        fitted = load(model)
        history = None
        if config:
            fitted._interactions = training_part(fitted, Run.from_file(config))
        else:
            click.echo("items the user already has are not left out: pass --config", err=True)
        ids, scores = fitted.recommend(
            _id(user, fitted._core.users, "users"),
            history,
            N=count,
            filter_already_liked_items=config is not None,
        )
        _print_ranked(ids, scores, as_json)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--item", help="Item id.")
@click.option("--user", help="User id.")
@click.option("-n", "--count", default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def similar(model, item, user, count, as_json) -> None:
    """The items most like an item of MODEL, or the users most like a user."""
    if (item is None) == (user is None):
        raise Failure("give one of --item and --user", 2)
    with explained():
        fitted = load(model)
        if item is not None:
            ids, scores = fitted.similar_items(_id(item, fitted._core.items, "items"), N=count)
        else:
            ids, scores = fitted.similar_users(_id(user, fitted._core.users, "users"), N=count)
        _print_ranked(ids, scores, as_json)


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
