"""RankingMF's losses with their defaults. On Gowalla beside implicit's BPR and logistic MF, buffalo's
BPR and LightFM's WARP: quality over the full catalogue, CPU seconds, and pairs of a positive and a
negative a CPU second. On MovieLens-100K and Online Retail, split by time: quality beside
ImplicitALS().

All take two threads. implicit and buffalo draw one negative a positive for BPR, implicit
`neg_prop` = 30 for logistic MF. buffalo and LightFM (lightfm-next, which still builds) need an older
numpy: they run in turn in a Python of their own, whose path is --old-python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit asks for it

import implicit
import numpy as np
import penchant
from measure import ROOT, cpu_seconds, gowalla, judge, print_table, save
from penchant.run import Run
from scipy import sparse

THREADS = 2
LOSSES = ("bpr", "warp", "logistic", "ccl", "softmax")


def ours(loss: str, train, test, epochs: int | None, **given) -> dict:
    model = penchant.RankingMF(loss, epochs=epochs, num_threads=THREADS, device="cpu", **given)
    begin = cpu_seconds()
    model.fit(train, show_progress=False)
    seconds = cpu_seconds() - begin
    metrics = penchant.evaluate(model, test, train, k=20)
    used = model.manifest["config"]["ranking"]
    # A step pairs each of its positives with each of its negatives; warp stops at a violation.
    pairs = train.nnz * used["epochs"] * used["negative_samples"]
    return {
        "recall": metrics["recall@20"],
        "ndcg": metrics["ndcg@20"],
        "epochs": used["epochs"],
        "seconds": seconds,
        "pairs_per_second": None if loss == "warp" else pairs / seconds,
    }


def old_peer(python: str, name: str, epochs: int, negatives: int | None, matrix, train, test):
    with tempfile.TemporaryDirectory() as folder:
        given, found = f"{folder}/train.npz", f"{folder}/found.npz"
        sparse.save_npz(given, matrix)
        script = ROOT / "bench" / "ranking_peers.py"
        subprocess.run([python, script, name, str(epochs), given, found], check=True)
        tables = np.load(found)
        seconds = float(tables["seconds"])
        return {
            **judge(tables["users"], tables["items"], test, train),
            "epochs": epochs,
            "seconds": seconds,
            "pairs_per_second": negatives and matrix.nnz * epochs * negatives / seconds,
        }


def peer(model, epochs: int, negatives: int, matrix, train, test) -> dict:
    begin = cpu_seconds()
    model.fit(matrix, show_progress=False)
    seconds = cpu_seconds() - begin
    return {
        **judge(np.asarray(model.user_factors), np.asarray(model.item_factors), test, train),
        "epochs": epochs,
        "seconds": seconds,
        "pairs_per_second": matrix.nnz * epochs * negatives / seconds,
    }


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, help="instead of each loss's default")
    parser.add_argument("--peer-epochs", type=int, default=100)
    parser.add_argument("--old-python", help="with buffalo and lightfm-next; absent: left out")
    arguments = parser.parse_args()
    train, test = gowalla()
    matrix = train.user_items
    results = {f"Penchant {loss}": ours(loss, train, test, arguments.epochs) for loss in LOSSES}
    # In a sixth of LightFM's time.
    results["Penchant warp, short"] = ours("warp", train, test, 16, learning_rate=0.06)
    epochs = arguments.peer_epochs
    bpr = implicit.bpr.BayesianPersonalizedRanking(
        factors=64, iterations=epochs, num_threads=THREADS, random_state=0
    )
    results["implicit BPR"] = peer(bpr, epochs, 1, matrix, train, test)
    logistic = implicit.lmf.LogisticMatrixFactorization(
        factors=64, iterations=30, num_threads=THREADS, random_state=0
    )
    results["implicit logistic"] = peer(logistic, 30, 30, matrix, train, test)
    if arguments.old_python:
        old = arguments.old_python
        results["buffalo BPR"] = old_peer(old, "buffalo BPR", epochs, 1, matrix, train, test)
        results["LightFM WARP"] = old_peer(old, "LightFM WARP", 50, None, matrix, train, test)
    print_table(
        ["model", "Recall@20", "NDCG@20", "epochs", "CPU s", "CPU s an epoch", "pairs / CPU s"],
        [
            [
                name,
                f"{found['recall']:.4f}",
                f"{found['ndcg']:.4f}",
                str(found["epochs"]),
                f"{found['seconds']:.1f}",
                f"{found['seconds'] / found['epochs']:.2f}",
                f"{found['pairs_per_second'] / 1e6:.1f}M" if found["pairs_per_second"] else "",
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


if __name__ == "__main__":
    main()
