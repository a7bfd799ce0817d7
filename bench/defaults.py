"""How far models with nothing given are from tuned ones.

`als`: ImplicitALS on three data sets. `sampled`: the models learned by SGD, on the two that are
split by time (Gowalla on request, for hours, or along the `--axes` in half an hour).

Tuned: the best NDCG@20 of a grid, judged on the very test set, so the tuned side is flattered.
"""

from __future__ import annotations

import argparse
from functools import partial

import penchant
from measure import ROOT, gowalla, print_table, save
from penchant.run import Run

SHARES = (5, 10, 20)
REGULARIZATIONS = (0.02, 0.03, 0.05, 0.08)
POWERS = (0.75, 0.9)
# Of the sampled models, times what their defaults are.
LOSSES = ("bpr", "warp", "logistic", "ccl", "softmax")
RATES = (0.5, 1.0, 2.0)
PENALTIES = (0.25, 1.0, 4.0)
LENGTHS = (0.5, 1.0)


DATA = ("movielens100k", "online_retail", "gowalla")


def data_of(name: str):
    if name == "gowalla":
        return gowalla()
    return Run.from_file(ROOT / "configs" / f"{name}_als.textproto").data()


def als(train, test) -> tuple[float, float, str]:
    """NDCG@20 of the defaults and of the best of the grid, and what that is."""
    model = penchant.ImplicitALS().fit(train, show_progress=False)
    default = penchant.evaluate(model, test, k=20)["ndcg@20"]
    best = (0.0, "")
    for share in SHARES:
        for regularization in REGULARIZATIONS:
            for power in POWERS:
                settings = dict(
                    unobserved_weight=share * train.nnz / train.num_users / train.num_items,
                    regularization=regularization,
                    regularization_power=power,
                    iterations=1,
                )
                previous = None
                for iteration in range(1, 7):
                    step = penchant.ImplicitALS(**settings)
                    previous = step.fit(train, show_progress=False, warm_start=previous)
                    if iteration not in (4, 6):
                        continue
                    value = penchant.evaluate(step, test, k=20)["ndcg@20"]
                    best = max(best, (value, f"{settings} at iteration {iteration}"))
    return default, *best


def sampled(make, train, test, axes: bool) -> tuple[float, float, str]:
    """The same of a model learned by SGD, around the settings that the data gave it; `axes`: of
    settings that differ in the rate or the penalty alone.
    """
    model = make().fit(train, show_progress=False)
    default = penchant.evaluate(model, test, k=20)["ndcg@20"]
    used = model.manifest["config"][model._algorithm]
    rates = [used["learning_rate"] * factor for factor in RATES]
    # ccl and Item2Vec have no penalty.
    penalties = (
        [used["regularization"] * f for f in PENALTIES] if used.get("regularization") else []
    )
    lengths = [max(1, round(used["epochs"] * factor)) for factor in LENGTHS]
    grid = [
        {"learning_rate": rate, "epochs": length, **penalty}
        for rate in rates
        for length in lengths
        for penalty in [{"regularization": p} for p in penalties] or [{}]
    ]
    if axes:
        grid = [{"learning_rate": rate} for rate in rates if rate != used["learning_rate"]]
        grid += [{"regularization": p} for p in penalties if p != used["regularization"]]
    best = (default, "the defaults")
    for settings in grid:
        tried = make(**settings)
        tried.fit(train, show_progress=False)
        best = max(best, (penchant.evaluate(tried, test, k=20)["ndcg@20"], f"{settings}"))
    return default, *best


def judges(models: str, axes: bool) -> dict:
    """By what each model is shown as."""
    if models == "als":
        return {"ImplicitALS()": als}
    tried = {f"RankingMF({loss!r})": partial(penchant.RankingMF, loss=loss) for loss in LOSSES}
    tried["Item2Vec()"] = penchant.Item2Vec
    return {shown: partial(sampled, make, axes=axes) for shown, make in tried.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="?", choices=("als", "sampled"), default="als")
    parser.add_argument("--data", nargs="+", choices=DATA)
    parser.add_argument("--only", default="", help="a part of the name of the models wanted")
    parser.add_argument("--axes", action="store_true", help="sampled: one setting at a time")
    options = parser.parse_args()
    rows, results = [], {}
    for name in options.data or (DATA if options.models == "als" else DATA[:2]):
        train, test = data_of(name)
        for shown, judge in judges(options.models, options.axes).items():
            if options.only not in shown:
                continue
            default, tuned, settings = judge(train, test)
            results.setdefault(name, {})[shown] = {
                "default": default,
                "tuned": tuned,
                "tuned_settings": settings,
            }
            rows.append([name, shown, f"{default:.4f}", f"{tuned:.4f}", f"{default / tuned:.3f}"])
            print(rows[-1], settings, flush=True)
    print_table(["data", "model", "NDCG@20", "tuned on the test set", "share"], rows)
    parts = ["defaults", "sampled"] if options.models == "sampled" else ["defaults"]
    parts += [options.only] if options.only else []
    save("-".join(parts + ["axes"] * options.axes), results)


if __name__ == "__main__":
    main()
