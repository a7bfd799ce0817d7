"""What an ALS iteration would take on a GPU: a model, not a measurement.

For every part of the row plan it adds up bytes, tensor operations, instructions and shared-memory
wavefronts a row, and takes the slowest of: memory, tensor cores, instruction issue, shared memory,
and the latency of a row's chain over the rows that a multiprocessor holds at a time. Instructions
are counted in the kernels' own machine code (ledger/row_costs.py), of most branches both sides:
from above; wavefronts by hand, in the source. Beside it stands the roofline: the same bytes and one
TF32 pass of the needed multiply-adds (products and factorisations) at full rate, nothing else.

    ./dev bench gpu_model
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench" / "ledger"))
import ledger  # noqa: E402
from code_costs import code_costs  # noqa: E402
from row_costs import DEPTH, ELEMENT_BYTES, MMA, TURN_LINES, RowShape, row_cost  # noqa: E402

GPUS = {
    # bytes/s of HBM and L2, L2 bytes, multiprocessors, clock, multiply-adds of mma.sync in TF32 a
    # cycle and multiprocessor (H100: 0.62 of its peak, as published microbenchmarks of mma.sync
    # found); of halves twice as many. Cycles from one FFMA of a scheduler to the next.
    "A100": dict(
        hbm=2.0e12, l2=4.0e12, l2_bytes=40e6, sms=108, clock=1.41e9, mma=512, arch=80, ffma=2
    ),
    "H100": dict(
        hbm=3.35e12, l2=5.5e12, l2_bytes=50e6, sms=132, clock=1.755e9, mma=662, arch=90, ffma=1
    ),
}
CHUNK = 4096  # observations from which on several blocks share a row
PANEL_STAYS = 10 << 10  # bytes; kResidentPanelBytes of the launcher


def lengths(name: str) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Observations a row of both sides, and how many rows each side has."""
    if name == "gowalla":
        import pyarrow.parquet as pq

        path = ROOT.parent / "shared" / "data" / "gowalla" / "train.parquet"
        if not path.exists():
            raise FileNotFoundError(path)
        table = pq.read_table(path)
        users = np.bincount(table["user"].to_numpy())
        items = np.bincount(table["item"].to_numpy())
        return users, items, len(users), len(items)
    shape = {
        "20M (MovieLens-like)": (138_000, 27_000, 20e6, 68 / 144, 18 / 750),
        "1e9": (10_000_000, 1_000_000, 1e9, 40 / 100, 100 / 1000),
    }[name]
    num_users, num_items, nnz, user_median, item_median = shape
    random = np.random.default_rng(0)

    def draw(rows, other, median_over_mean):
        sigma = math.sqrt(-2 * math.log(median_over_mean))
        sample = random.lognormal(0, sigma, min(rows, 500_000))
        scaled = np.clip(np.rint(sample / sample.mean() * nnz / rows), 0, other)
        return scaled.astype(np.int64)

    return (
        draw(num_users, num_items, user_median),
        draw(num_items, num_users, item_median),
        num_users,
        num_items,
    )


def share_low(own: np.ndarray, order: int, pair: bool) -> float:
    """RowShape.low of rows with so many observations."""
    if order > 32:
        return float((np.ceil(own / 16) % 2).mean())
    return float(own[own <= (8 if pair else 24)].sum() / own.sum())


def model(gpu, users, items, num_users, num_items, factors, element, shapes, records, codes):
    padded = -(-factors // 32) * 32
    seconds = roof = 0.0
    parts = {}
    for rows, total, fixed in ((users, num_users, num_items), (items, num_items, num_users)):
        scale = total / len(rows)
        row_bytes = factors * ELEMENT_BYTES[element]
        hit = min(1.0, gpu["l2_bytes"] / (fixed * row_bytes))
        bandwidth = 1 / (hit / gpu["l2"] + (1 - hit) / gpu["hbm"])
        bounds = (0, 16, 32, 64, 128, 160, 256, CHUNK, 10**9)
        for low, high in zip(bounds, bounds[1:]):
            for short in (True, False):
                own = rows[(rows > low) & (rows <= high)]
                own = own[(own <= factors) == short]
                own = own[own > 0]
                if not len(own):
                    continue
                order = min(-(-min(high, factors) // 32) * 32, padded) if short else padded
                variant = next(
                    v
                    for limit, v in (
                        (32, "1, 1, 32"),
                        (64, "2, 2, 32"),
                        (128, "4, 3, 32"),
                        (160, "5, 3, 32"),
                        (10**9, "12, 3, 32"),
                    )
                    if order <= limit
                )
                pair = short and high == 16
                name = f"SolveRowsKernel<{variant}, {str(short).lower()}, {element}, "
                kernel = f"SolvePairsKernel<{element}>" if pair else name + "true>"
                threads, shared = shapes[gpu["arch"], kernel, factors][0]
                registers = records[kernel, gpu["arch"]]["registers"]
                resident = ledger.occupancies([(gpu["arch"], registers, 0, shared, threads)])[0]
                mean = float(own.mean())
                # Within a part, blocks of 32 beyond the row are skipped.
                mean_order = float(np.ceil(own / 32).mean() * 32) if short else order
                warps = threads // 32
                panel = 32 * (DEPTH + 4) * 4 * padded // DEPTH
                row = RowShape(
                    short=short,
                    pair=pair,
                    side=math.ceil(mean_order / 32),
                    low=share_low(own, order, pair) if short else 0.0,
                    n=mean,
                    lines=float(np.ceil(own / 8).mean() * 8),
                    turns=1.0 if pair else float(np.ceil(own / TURN_LINES.get(warps, 1)).mean()),
                    factors=factors,
                    contraction=padded if short else mean,
                    panel_stays=pair and panel <= PANEL_STAYS,
                    warps=warps,
                )
                cost = row_cost(row, codes[kernel], element, gpu)
                count = len(own) * scale
                moved = count * mean * row_bytes
                again = moved if short and not row.panel_stays else 0  # for the row itself
                per_second = gpu["sms"] * gpu["clock"]
                chain = cost.chunks * cost.forming + cost.solving
                times = {
                    "memory": moved / bandwidth + again / gpu["l2"],
                    "tensor": count * cost.mma * MMA / (2 * gpu["mma"]) / per_second,
                    "issue": count * cost.instructions / 4 / per_second,
                    "shared": count * cost.wavefronts / per_second,
                    "latency": count / row.rows * chain / max(resident, 1) / per_second,
                }
                bound = max(times, key=times.get)
                seconds += times[bound]
                side = min(mean, factors)
                # Lower halves of the product, and the Cholesky factorisation.
                needed = count * (side**2 * max(mean, factors) / 2 + side**3 / 6)
                roof += max(moved / bandwidth, needed / gpu["mma"] / per_second)
                label = f"{'short' if short else 'long'} {low}-{min(high, int(own.max()))}"
                parts[label] = parts.get(label, 0) + times[bound]
                parts[label + " bound"] = bound
        # Gram (fp32, lower half not exploited by gemm) and rotation.
        fp32 = {"A100": 19.5e12, "H100": 67e12}[next(k for k, g in GPUS.items() if g is gpu)]
        dense = 4 * fixed * factors * factors / fp32
        seconds += dense
        roof += dense
    return seconds, roof, parts


def main() -> None:
    work = ROOT / "build" / "ledger"
    if not (work / "records.json").exists():
        sys.exit("run ./dev ledger first: the model reads the compiled kernels")
    records = {(r["kernel"], r["arch"]): r for r in json.loads((work / "records.json").read_text())}
    shapes = ledger.launches()
    codes = {arch: code_costs(arch) for arch in (80, 90)}
    print(
        "A model, not a measurement. Milliseconds of one iteration, eigendecompositions left out.\n"
    )
    print(
        "| data | factors | GPU | modelled | roofline | ratio | largest parts (bound) | "
        "in bfloat16: modelled | ratio |"
    )
    print("|" + "---|" * 9)
    results = []
    for name in ("gowalla", "20M (MovieLens-like)", "1e9"):
        try:
            data = lengths(name)
        except FileNotFoundError as missing:
            print(f"| {name} | skipped: {missing} is not there |")
            continue
        for factors in (64, 128, 256):
            for gpu_name, gpu in GPUS.items():
                told = f"| {name} | {factors} | {gpu_name} | "
                for element in ELEMENT_BYTES:
                    seconds, roof, parts = model(
                        gpu, *data, factors, element, shapes, records, codes[gpu["arch"]]
                    )
                    results.append([name, factors, gpu_name, element, seconds, roof])
                    if element == "Bfloat16":
                        print(told + f"{seconds * 1e3:.2f} | {seconds / roof:.2f} |")
                        continue
                    largest = sorted(
                        (k for k in parts if not k.endswith("bound")), key=parts.get, reverse=True
                    )[:3]
                    told += f"{seconds * 1e3:.2f} | {roof * 1e3:.2f} | {seconds / roof:.2f} | "
                    told += ", ".join(
                        f"{k} {parts[k] / seconds:.0%} ({parts[k + ' bound']})" for k in largest
                    )
                    told += " | "
    (work / "model.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
