"""RankingMF's losses with their defaults. On Gowalla beside implicit's BPR and logistic MF,
buffalo's BPR and LightFM's WARP: quality over the full catalogue and CPU seconds of whole fits
(`--part quality`), and pairs of a positive and a negative a CPU second, of short fits in turns
(`--part speed`). On MovieLens-100K and Online Retail, split by time: quality beside ImplicitALS().

All take two threads. implicit and buffalo draw one negative a positive for BPR, implicit
`neg_prop` = 30 for logistic MF. buffalo and LightFM (lightfm-next, which still builds) need an
older numpy: they run in turn in a Python of their own, whose path is --old-python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from functools import partial

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit asks for it

import implicit
import numpy as np
import penchant
from measure import ROOT, gowalla, judge, print_table, save, timed
from penchant.run import Run
from scipy import sparse

THREADS = 2
LOSSES = ("bpr", "warp", "logistic", "ccl", "softmax")


def ours(loss: str, train, test, epochs: int | None, **given) -> dict:
    model = penchant.RankingMF(loss, epochs=epochs, num_threads=THREADS, device="cpu", **given)
    return measured(lambda: model.fit(train, show_progress=False), train, test)


def by_config(name: str, train, test) -> dict:
    overrides = [f"num_threads={THREADS}", "device=cpu"]
    run = Run.from_file(ROOT / "configs" / name, overrides)
    return measured(lambda: run.train(train), train, test)


def measured(fit, train, test) -> dict:
    """Quality and CPU seconds of a fit, which returns the model."""
    fitted = []
    seconds = timed(lambda: fitted.append(fit()))
    model = fitted[0]
    metrics = penchant.evaluate(model, test, train, k=20)
    return {
        "recall": metrics["recall@20"],
        "ndcg": metrics["ndcg@20"],
        "epochs": model.manifest["config"]["ranking"]["epochs"],
        "seconds": seconds,
    }


def implicit_bpr(epochs: int):
    return implicit.bpr.BayesianPersonalizedRanking(
        factors=64, iterations=epochs, num_threads=THREADS, random_state=0
    )


def implicit_logistic(epochs: int):
    return implicit.lmf.LogisticMatrixFactorization(
        factors=64, iterations=epochs, num_threads=THREADS, random_state=0
    )


def fit_old_peer(python: str, name: str, epochs: int, matrix):
    """Users, items and CPU seconds of a peer in a Python of its own."""
    with tempfile.TemporaryDirectory() as folder:
        given, found = f"{folder}/train.npz", f"{folder}/found.npz"
        sparse.save_npz(given, matrix)
        script = ROOT / "bench" / "ranking_peers.py"
        command = [python, script, name, str(epochs), given, found]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        tables = np.load(found)
        return tables["users"], tables["items"], float(tables["seconds"])


def old_peer(python: str, name: str, epochs: int, matrix, train, test) -> dict:
    users, items, seconds = fit_old_peer(python, name, epochs, matrix)
    return {**judge(users, items, test, train), "epochs": epochs, "seconds": seconds}


def peer(model, epochs: int, matrix, train, test) -> dict:
    seconds = timed(lambda: model.fit(matrix, show_progress=False))
    tables = np.asarray(model.user_factors), np.asarray(model.item_factors)
    return {**judge(*tables, test, train), "epochs": epochs, "seconds": seconds}


def speeds(train, matrix, old_python: str | None, rounds: int = 3, epochs: int = 10) -> dict:
    """Pairs a CPU second, the best of some fits in turns. A step of ours pairs each of its
    positives with each of its negatives; warp, which stops at a violation, has no such number.
    """
    runs = {}
    for loss in ("bpr", "logistic", "ccl", "softmax"):
        model = penchant.RankingMF(loss, epochs=epochs, num_threads=THREADS, device="cpu")
        model.fit(train, show_progress=False)
        negatives = model.manifest["config"]["ranking"]["negative_samples"]
        fit = partial(model.fit, train, show_progress=False)
        runs[f"Penchant {loss}"] = (negatives, partial(timed, fit))
    for name, make, negatives in (
        ("implicit BPR", implicit_bpr, 1),
        ("implicit logistic", implicit_logistic, 30),
    ):
        fit = partial(make(epochs).fit, matrix, show_progress=False)
        runs[name] = (negatives, partial(timed, fit))
    if old_python:
        runs["buffalo BPR"] = (
            1,
            lambda: fit_old_peer(old_python, "buffalo BPR", epochs, matrix)[2],
        )
    best = dict.fromkeys(runs, 0.0)
    for _ in range(rounds):
        for name, (negatives, seconds) in runs.items():
            best[name] = max(best[name], matrix.nnz * epochs * negatives / seconds())
    return best


def defaults_elsewhere() -> dict:
    """Recall@20 and NDCG@20 of all defaults on data split by time."""
    results = {}
    for name in ("movielens100k", "online_retail"):
        train, test = Run.from_file(ROOT / "configs" / f"{name}_als.textproto").data()
        models = {"ImplicitALS": penchant.ImplicitALS()}
        models |= {f"RankingMF {loss}": penchant.RankingMF(loss=loss) for loss in LOSSES}
        models["Item2Vec"] = penchant.Item2Vec()
        models["Popularity"] = penchant.Popularity()
        for label, model in models.items():
            metrics = penchant.evaluate(model.fit(train, show_progress=False), test, k=20)
            found = {metric: metrics[f"{metric}@20"] for metric in ("recall", "ndcg")}
            results.setdefault(label, {})[name] = found
    return results


def qualities(train, test, own_epochs: int | None, epochs: int, old: str | None) -> None:
    matrix = train.user_items
    results = {f"Penchant {loss}": ours(loss, train, test, own_epochs) for loss in LOSSES}
    # In a fraction of LightFM's time.
    results["Penchant warp, short"] = ours("warp", train, test, 16, learning_rate=0.06)
    results["Penchant ccl, gowalla_ccl"] = by_config("gowalla_ccl.textproto", train, test)
    results["implicit BPR"] = peer(implicit_bpr(epochs), epochs, matrix, train, test)
    results["implicit logistic"] = peer(implicit_logistic(30), 30, matrix, train, test)
    if old:
        results["buffalo BPR"] = old_peer(old, "buffalo BPR", epochs, matrix, train, test)
        results["LightFM WARP"] = old_peer(old, "LightFM WARP", 50, matrix, train, test)
    print_table(
        ["model", "Recall@20", "NDCG@20", "epochs", "CPU s", "CPU s an epoch"],
        [
            [
                name,
                f"{found['recall']:.4f}",
                f"{found['ndcg']:.4f}",
                str(found["epochs"]),
                f"{found['seconds']:.1f}",
                f"{found['seconds'] / found['epochs']:.2f}",
            ]
            for name, found in results.items()
        ],
    )
    elsewhere = defaults_elsewhere()
    names = list(next(iter(elsewhere.values())))
    print_table(
        ["Recall@20 / NDCG@20", *names],
        [
            [label, *(f"{found[name]['recall']:.4f} / {found[name]['ndcg']:.4f}" for name in names)]
            for label, found in elsewhere.items()
        ],
    )
    save("ranking", {"gowalla": results, "split by time": elsewhere})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="instead of each loss's default")
    parser.add_argument("--peer-epochs", type=int, default=100)
    parser.add_argument("--part", choices=("quality", "speed", "all"), default="all")
    parser.add_argument("--old-python", help="with buffalo and lightfm-next; absent: left out")
    arguments = parser.parse_args()
    train, test = gowalla()
    old = arguments.old_python
    if arguments.part in ("speed", "all"):
        found = speeds(train, train.user_items, old)
        print_table(
            ["model", "pairs / CPU s"], [[name, f"{v / 1e6:.1f}M"] for name, v in found.items()]
        )
        save("ranking-speed", {"gowalla pairs per CPU second": found})
    if arguments.part in ("quality", "all"):
        qualities(train, test, arguments.epochs, arguments.peer_epochs, old)


if __name__ == "__main__":
    main()
