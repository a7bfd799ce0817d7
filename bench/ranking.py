"""RankingMF's losses with their defaults on Gowalla, beside implicit's BPR and logistic MF: quality
over the full catalogue, CPU seconds, and pairs of a positive and a negative a CPU second.

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
from measure import cpu_seconds, gowalla, print_table, save
from penchant import _penchant

THREADS = 2
LOSSES = ("bpr", "warp", "logistic", "ccl", "softmax")


def judge(users, items, test, train) -> dict:
    """Recall@20 and NDCG@20 of factor tables, as penchant.evaluate computes them."""
    context = _penchant.Context(THREADS, "cpu")
    parts = [data._core.user_items() for data in (test, train)]
    found = _penchant.evaluate(context, users, items, *parts, [20])
    return {name: float(np.mean(found[f"{name}@20"])) for name in ("recall", "ndcg")}


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
    save("ranking", results)


if __name__ == "__main__":
    main()
