"""How far models with nothing given are from tuned ones.

ImplicitALS on three data sets; the sampled models on the two that are split by time, and with
--gowalla on the third (hours).

Tuned: the best NDCG@20 of a grid, judged on the very test set, so the tuned side is flattered.
"""

from __future__ import annotations

import argparse

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
SAMPLED = {
    **{f"RankingMF({loss!r})": lambda loss=loss: penchant.RankingMF(loss) for loss in LOSSES},
    "Item2Vec()": penchant.Item2Vec,
}


def data_sets():
    for name in ("movielens100k", "online_retail"):
        yield name, *Run.from_file(ROOT / "configs" / f"{name}_als.textproto").data()
    yield "gowalla", *gowalla()


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


def sampled(model, train, test) -> tuple[float, float, str]:
    """The same of a model learned by SGD, around the settings that the data gave it."""
    model.fit(train, show_progress=False)
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
    best = (0.0, "")
    for settings in grid:
        tried = type(model)(**{**model.get_params(), **settings})
        tried.fit(train, show_progress=False)
        best = max(best, (penchant.evaluate(tried, test, k=20)["ndcg@20"], f"{settings}"))
    return default, *best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--gowalla", action="store_true", help="sampled models on Gowalla too")
    options = parser.parse_args()
    rows, results = [], {}
    for name, train, test in data_sets():
        models = {"ImplicitALS()": lambda train=train, test=test: als(train, test)}
        if name != "gowalla" or options.gowalla:
            for shown, make in SAMPLED.items():
                models[shown] = lambda make=make, train=train, test=test: sampled(
                    make(), train, test
                )
        for shown, judge in models.items():
            default, tuned, settings = judge()
            results.setdefault(name, {})[shown] = {
                "default": default,
                "tuned": tuned,
                "tuned_settings": settings,
            }
            rows.append([name, shown, f"{default:.4f}", f"{tuned:.4f}", f"{default / tuned:.3f}"])
            print(rows[-1], settings, flush=True)
    print_table(["data", "model", "NDCG@20", "tuned on the test set", "share"], rows)
    save("defaults", results)


if __name__ == "__main__":
    main()
