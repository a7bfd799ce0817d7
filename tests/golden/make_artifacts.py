"""Writes the golden artifacts of the present version and what a reader answers from them.

Run once a version of the format; files of released versions are never written again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import penchant

VERSION = 1
HERE = Path(__file__).parent
MODELS = {
    "als-float32": (penchant.ImplicitALS(factors=4, iterations=3), "float32", True),
    "als-float16": (penchant.ImplicitALS(factors=5, iterations=3), "float16", False),
    "ranking-int8": (penchant.RankingMF("softmax", factors=4, epochs=20), "int8", True),
    "ranking-bfloat16": (penchant.RankingMF("ccl", factors=4, epochs=20), "bfloat16", False),
    "item2vec-pq": (penchant.Item2Vec(factors=4, epochs=20), "pq", True),
    "popularity-int4": (penchant.Popularity(), "int4", False),
}


def interactions(strings: bool) -> penchant.Interactions:
    random = np.random.default_rng(7)
    users, items = random.integers(0, 30, 300), random.integers(0, 40, 300)
    name = (lambda kind, i: f"{kind} {i}") if strings else (lambda kind, i: int(i))
    import pyarrow as pa

    table = pa.table(
        {
            "user": [name("user", u) for u in users],
            "item": [name("item", i) for i in items],
            "time": np.arange(300),
        }
    )
    return penchant.Interactions.from_arrow(table, user="user", item="item", time="time")


def answers(reader: penchant.Reader, strings: bool) -> dict:
    history = ["item 3", "item 8"] if strings else [3, 8]
    context = {"country": "SA"}
    asked = {
        "known": reader.recommend("user 2" if strings else 2, n=5, context=context),
        "history": reader.recommend(history=history, n=5, caps={"shelf": 2}),
        "similar": reader.similar(history[0], 5),
    }
    return {name: [list(ids), [float(s) for s in scores]] for name, (ids, scores) in asked.items()}


def main() -> None:
    for name, (model, dtype, strings) in MODELS.items():
        data = interactions(strings)
        model.set_params(num_threads=1)
        model.fit(data, show_progress=False)
        count = len(model._core.items)
        path = HERE / f"{name}-v{VERSION}.penchant"
        model.export(
            path,
            dtype=dtype,
            item_attributes={"shelf": [f"shelf {row % 3}" for row in range(count)]},
            rules=['if country == ["SA", "KW"] then deny shelf "shelf 1"'],
        )
        told = json.dumps(answers(penchant.Reader(path), strings), indent=1)
        path.with_suffix(".json").write_text(told + "\n")


if __name__ == "__main__":
    main()
