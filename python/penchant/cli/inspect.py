"""penchant inspect, doctor"""

from __future__ import annotations

import json
import os

import click

from .. import _penchant
from ..doctor import doctor as doctor_facts
from ..estimators import load
from ..reader import Reader
from .failures import explained


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the manifest.")
def inspect(model, as_json) -> None:
    """What MODEL, saved or exported, says about itself: algorithm, data, metrics."""
    with explained():
        try:
            fitted = load(model)
        except _penchant.DataError as error:
            try:
                manifest = Reader(model).manifest
            except _penchant.DataError:
                raise error from None
            lines = _of_artifact(manifest)
        else:
            manifest = fitted.manifest
            lines = _of_model(manifest, fitted)
        if as_json:
            click.echo(json.dumps(manifest, indent=2))
            return
        data = manifest["data"]
        click.echo(
            f"{model}: {manifest['kind']} of algorithm {manifest['algorithm']}, written by "
            f"Penchant {manifest['penchant_version']} ({os.path.getsize(model):,} bytes)"
        )
        click.echo(
            f"  {int(data['num_interactions']):,} interactions, {int(data['num_users']):,} "
            f"users, {int(data['num_items']):,} items; fingerprint {data['xxh3']}"
        )
        for line in lines:
            click.echo(f"  {line}")
        for metric in manifest.get("metrics", []):
            click.echo(f"  {metric['name']}: {metric['value']:.4f}")


def _of_model(manifest: dict, fitted) -> list[str]:
    lines = [repr(fitted), f"iterations done: {manifest.get('iterations_done', 0)}"]
    if manifest.get("parts_done"):
        lines.append(f"and {manifest['parts_done']} parts of the next: time was over")
    return lines


def _of_artifact(manifest: dict) -> list[str]:
    lines = [f"artifact: {manifest['factors']} factors in {manifest['dtype']}"]
    if manifest.get("attributes"):
        lines.append(f"item attributes: {', '.join(manifest['attributes'])}")
    return lines + [f"rule: {rule['text']}" for rule in manifest.get("rules", [])]


@click.command()
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
            + ("" if device["usable"] else f"; not usable: {device['reason']}")
        )
    click.echo(f"driver    {cuda['driver'] or 'no NVIDIA driver is loaded'}")
    click.echo("CUDA      usable" if cuda["usable"] else f"CUDA      not usable: {cuda['reason']}")
