"""Compact artifacts on Gowalla: what each number type costs in size and quality, what a reader
takes for an answer, and its batches beside faiss's IndexFlatIP. Writes the tables of
docs/EXPORT.md."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
import penchant
import pyarrow as pa
from measure import ROOT, gowalla, print_table, replace_block, save, table_text
from scipy import sparse

DTYPES = ("float32", "float16", "bfloat16", "int8", "int4", "pq")
MODELS = {
    "ImplicitALS": lambda: penchant.ImplicitALS(factors=64),
    "RankingMF": lambda: penchant.RankingMF("softmax", factors=64),
}
K = 20
QUERIES = 2000


def ndcg(reader, train, test) -> float:
    """NDCG@20 over the whole catalogue, items of the training left out."""
    discounts = 1 / np.log2(np.arange(2, K + 2))
    ideal = np.cumsum(discounts)
    total, users = 0.0, 0
    for user in np.flatnonzero(np.diff(test.indptr)):
        wanted = test.indices[test.indptr[user] : test.indptr[user + 1]]
        seen = train.indices[train.indptr[user] : train.indptr[user + 1]].tolist()
        found, _ = reader.recommend(int(user), history=seen, n=K)
        total += (
            discounts[: len(found)][np.isin(found, wanted)].sum() / ideal[min(K, len(wanted)) - 1]
        )
        users += 1
    return total / users


def latency(ask) -> dict:
    """Milliseconds of single calls at one thread: median and 99th percentile."""
    times = []
    for i in range(QUERIES):
        begin = time.perf_counter()
        ask(i)
        times.append(time.perf_counter() - begin)
    return {"median": np.median(times) * 1e3, "p99": np.quantile(times, 0.99) * 1e3}


def best_of(work, rounds=5) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def types_table(
    folder: Path, train: sparse.csr_matrix, test: sparse.csr_matrix
) -> tuple[list, dict]:
    rows, results = [], {}
    long = np.flatnonzero(np.diff(train.indptr) >= 30)
    histories = [
        train.indices[train.indptr[u] : train.indptr[u] + 30].tolist() for u in long[:QUERIES]
    ]
    for name, make in MODELS.items():
        model = make().fit(train, show_progress=False)
        for dtype in DTYPES:
            full, items = folder / "full", folder / "items"
            model.export(full, dtype=dtype)
            model.export(items, dtype=dtype, kind="items")
            reader = penchant.Reader(full)
            known = latency(lambda i, reader=reader: reader.recommend(i, n=K))
            folded = latency(
                lambda i, reader=reader: reader.recommend(
                    history=histories[i % len(histories)], n=K
                )
            )
            entry = {
                "full_bytes": full.stat().st_size,
                "items_bytes": items.stat().st_size,
                "ndcg@20": ndcg(reader, train, test),
                "known_ms": known,
                "history_ms": folded,
            }
            results.setdefault(name, {})[dtype] = entry
            whole = results[name]["float32"]
            lost = 1 - entry["ndcg@20"] / whole["ndcg@20"]
            rows.append(
                [
                    name,
                    dtype,
                    f"{entry['full_bytes'] / 1e6:.1f}",
                    f"{entry['items_bytes'] / 1e6:.1f}",
                    f"{entry['ndcg@20']:.4f}",
                    f"{round(100 * lost, 1) + 0.0:.1f}%",
                    f"{known['median']:.2f} / {known['p99']:.2f}",
                    f"{folded['median']:.2f} / {folded['p99']:.2f}",
                ]
            )
            print(rows[-1], flush=True)
    return rows, results


def batches_table(folder: Path, train: sparse.csr_matrix) -> tuple[list, dict]:
    """Users a second, beside faiss's search through all items, in turns."""
    model = MODELS["ImplicitALS"]().fit(train, show_progress=False)
    users = np.ascontiguousarray(model.user_factors)
    index = faiss.IndexFlatIP(users.shape[1])
    index.add(np.ascontiguousarray(model.item_factors))
    rows, results = [], {}
    names = list(range(len(users)))
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        peer, readers = np.inf, {}
        for dtype in ("float32", "float16", "int8"):
            model.export(folder / dtype, dtype=dtype)
            readers[dtype] = penchant.Reader(folder / dtype)
        times = dict.fromkeys(readers, np.inf)
        for _ in range(3):
            peer = min(peer, best_of(lambda: index.search(users, K), 1))
            for dtype, reader in readers.items():
                begin = time.perf_counter()
                reader.recommend(names, n=K, num_threads=threads)
                times[dtype] = min(times[dtype], time.perf_counter() - begin)
        for dtype, seconds in times.items():
            ratio = peer / seconds
            results[f"{dtype}, {threads} threads"] = {
                "users_a_second": len(users) / seconds,
                "faiss_users_a_second": len(users) / peer,
            }
            rows.append(
                [
                    f"{threads}",
                    dtype,
                    f"{len(users) / seconds:,.0f}",
                    f"{len(users) / peer:,.0f}",
                    f"{ratio:.2f}",
                ]
            )
    return rows, results


def opening_table(folder: Path) -> tuple[list, dict]:
    """Milliseconds to open an artifact of a million items, by kind of id."""
    items, rows, results = 1_000_000, [], {}
    random = np.random.default_rng(1)
    for kind in ("integer", "string"):
        names = random.permutation(10 * items)[:items]
        table = pa.table(
            {
                "user": random.integers(0, 1000, items),
                "item": names if kind == "integer" else [f"sku-{i:08d}-eu" for i in names],
            }
        )
        data = penchant.Interactions.from_arrow(table, user="user", item="item")
        model = penchant.ImplicitALS(factors=64, iterations=1).fit(data, show_progress=False)
        for dtype in ("float32", "int8"):
            path = folder / f"{kind}-{dtype}"
            model.export(path, dtype=dtype, kind="items")
            seconds = best_of(lambda path=path: penchant.Reader(path), 20)
            reader = penchant.Reader(path)
            ids_bytes = path.stat().st_size - _table_bytes(dtype, items, 64)
            results[f"{kind}, {dtype}"] = {"open_ms": seconds * 1e3, "bytes": path.stat().st_size}
            first = time.perf_counter()
            item = names[0] if kind == "integer" else f"sku-{names[0]:08d}-eu"
            reader.recommend(history=[item if kind == "string" else int(item)], n=K)
            first = time.perf_counter() - first
            rows.append(
                [
                    kind,
                    dtype,
                    f"{path.stat().st_size / 1e6:.0f}",
                    f"{8 * ids_bytes / items:.0f}",
                    f"{seconds * 1e3:.2f}",
                    f"{first * 1e3:.1f}",
                ]
            )
            os.remove(path)
    return rows, results


def _table_bytes(dtype: str, rows: int, cols: int) -> int:
    return rows * (4 * cols if dtype == "float32" else cols + 4)


def main() -> None:
    # As matrices, whose rows are ids.
    train, test = (sparse.csr_matrix(part.user_items) for part in gowalla())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        types, type_results = types_table(folder, train, test)
        batches, batch_results = batches_table(folder, train)
        opening, opening_results = opening_table(folder)
    type_header = ["model", "dtype", "MB", "MB of items", "NDCG@20", "lost"]
    type_header += ["known user, ms", "history of 30, ms"]
    tables = {
        "types": (type_header, types),
        "batches": (["threads", "dtype", "users/s", "IndexFlatIP, users/s", "ratio"], batches),
        "opening": (["ids", "dtype", "MB", "bits an id", "open, ms", "first answer, ms"], opening),
    }
    for block, (header, rows) in tables.items():
        print_table(header, rows)
        replace_block(ROOT / "docs" / "EXPORT.md", block, table_text(header, rows))
    save("export", {"types": type_results, "batches": batch_results, "opening": opening_results})


if __name__ == "__main__":
    main()
