"""Item2Vec beside gensim's Word2Vec on Gowalla: quality over the full catalogue and words a CPU
second; and what it calls similar on Online Retail.

Both learn 64 factors with two threads in one process, from the same histories. gensim's recommends
by the same rule: the mean of a history's vectors against its output vectors (and, as many do,
against the vectors themselves). Gowalla has no times: a history is a basket, which gensim meets
shuffled anew in every epoch, with a window of 5 as ours; the seconds that shuffling takes in Python
are measured apart and not counted against it.
"""

from __future__ import annotations

import argparse

import numpy as np
import penchant
from gensim.models import Word2Vec
from measure import SHARED, cpu_seconds, gowalla, judge, print_table, save, timed
from pyarrow import parquet

THREADS = 2
SHOWN = 6


class Histories:
    """Users' items as gensim wants them, in another order each epoch."""

    def __init__(self, user_items):
        self.rows = [[str(item) for item in row.indices] for row in user_items]
        self.random = np.random.default_rng(0)

    def __iter__(self):
        for row in self.rows:
            self.random.shuffle(row)
            yield row


def ours(train, test, **settings) -> dict:
    model = penchant.Item2Vec(num_threads=THREADS, device="cpu", **settings)
    begin = cpu_seconds()
    model.fit(train, show_progress=False)
    seconds = cpu_seconds() - begin
    metrics = penchant.evaluate(model, test, train, k=20)
    return result(metrics["recall@20"], metrics["ndcg@20"], model.epochs, seconds, train.nnz)


def gensims(train, test, epochs: int) -> list[dict]:
    user_items = train.user_items
    histories = Histories(user_items)
    shuffling = timed(lambda: sum(len(row) for row in histories)) * (epochs + 1)
    begin = cpu_seconds()
    model = Word2Vec(
        histories,
        vector_size=64,
        window=5,
        min_count=1,
        sg=1,
        negative=5,
        epochs=epochs,
        workers=THREADS,
        seed=0,
    )
    seconds = cpu_seconds() - begin - shuffling
    order = [model.wv.key_to_index[str(item)] for item in range(train.num_items)]
    centers, contexts = model.wv.vectors[order], model.syn1neg[order]
    means = (user_items > 0) @ centers / np.maximum(1, user_items.getnnz(axis=1))[:, None]
    judged = [judge(means, table, test, train) for table in (contexts, centers)]
    return [result(found["recall"], found["ndcg"], epochs, seconds, train.nnz) for found in judged]


def result(recall, ndcg, epochs, seconds, words) -> dict:
    return {
        "recall": recall,
        "ndcg": ndcg,
        "epochs": epochs,
        "seconds": seconds,
        "words_per_second": words * epochs / seconds,
    }


def similar_products() -> list[dict]:
    """For some products of Online Retail, the most similar ones by invoices, with descriptions."""
    path = SHARED / "online_retail" / "transactions.parquet"
    if not path.is_file():
        raise SystemExit(f"this benchmark needs {path}")
    lines = parquet.read_table(path, columns=["item", "description"]).to_pydict()
    names = {item: name.strip() for item, name in zip(*lines.values()) if name}
    train = penchant.Interactions.from_parquet(path, user="invoice", item="item")
    model = penchant.Item2Vec(num_threads=THREADS, device="cpu").fit(train, show_progress=False)
    counts = train.item_users.getnnz(axis=1)
    chosen = train.item_ids(np.argsort(-counts, kind="stable")[: 40 * SHOWN : 40])
    return [
        {
            "product": names[product],
            "similar": [names[other] for other in model.similar_items(product, N=4)[0][1:]],
        }
        for product in chosen
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="of ours; by default the model's own")
    parser.add_argument("--gensim-epochs", type=int, default=30)
    arguments = parser.parse_args()
    settings = {} if arguments.epochs is None else {"epochs": arguments.epochs}
    train, test = gowalla()
    results = {"penchant": ours(train, test, **settings)}
    by_contexts, by_centers = gensims(train, test, arguments.gensim_epochs)
    results["gensim, by output vectors"] = by_contexts
    results["gensim, by vectors"] = by_centers
    print_table(
        ["Gowalla, 64 factors", "Recall@20", "NDCG@20", "epochs", "CPU s", "words / CPU s"],
        [
            [
                name,
                f"{found['recall']:.4f}",
                f"{found['ndcg']:.4f}",
                found["epochs"],
                f"{found['seconds']:.0f}",
                f"{found['words_per_second']:,.0f}",
            ]
            for name, found in results.items()
        ],
    )
    results["similar"] = similar_products()
    print_table(
        ["Online Retail", "most similar"],
        [[row["product"], "; ".join(row["similar"])] for row in results["similar"]],
    )
    save("item2vec", results)


if __name__ == "__main__":
    main()
