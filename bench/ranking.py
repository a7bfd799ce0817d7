"""RankingMF's losses with their defaults. On Gowalla beside implicit's BPR and logistic MF: quality
over the full catalogue, CPU seconds, and pairs of a positive and a negative a CPU second. On
MovieLens-100K and Online Retail, split by time: quality beside ImplicitALS().

Everything runs in one process with two threads. implicit draws one negative a positive for BPR and
`neg_prop` = 30 for logistic MF.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit asks for it

import implicit
import numpy as np
import penchant
from measure import ROOT, cpu_seconds, gowalla, judge, print_table, save
from penchant.run import Run

THREADS = 2
LOSSES = ("bpr", "warp", "logistic", "ccl", "softmax")


def ours(loss: str, train, test, epochs: int | None) -> dict:
    model = penchant.RankingMF(loss=loss, epochs=epochs, num_threads=THREADS, device="cpu")
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
    arguments = parser.parse_args()
    train, test = gowalla()
    matrix = train.user_items
    results = {f"Penchant {loss}": ours(loss, train, test, arguments.epochs) for loss in LOSSES}
    epochs = arguments.peer_epochs
    bpr = implicit.bpr.BayesianPersonalizedRanking(
        factors=64, iterations=epochs, num_threads=THREADS, random_state=0
    )
    results["implicit BPR"] = peer(bpr, epochs, 1, matrix, train, test)
    logistic = implicit.lmf.LogisticMatrixFactorization(
        factors=64, iterations=30, num_threads=THREADS, random_state=0
    )
    results["implicit logistic"] = peer(logistic, 30, 30, matrix, train, test)
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
