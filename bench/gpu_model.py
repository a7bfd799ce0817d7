"""What an ALS iteration would take on a GPU: a model, not a measurement.

For every part of the row plan it adds up bytes, tensor operations, instructions and shared-memory
wavefronts a row, the instructions a step from the kernels' own machine code (bench/ledger), and
takes the slowest of: memory, tensor cores, instruction issue, shared memory, and the latency of a
row's chain over the rows that a multiprocessor holds at a time. Beside it stands the roofline: the
same bytes and one TF32 pass of the needed products at full rate, nothing else.

    ./dev bench gpu_model
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench" / "ledger"))
import ledger  # noqa: E402

GPUS = {
    # bytes/s of HBM and L2, L2 bytes, multiprocessors, clock, multiply-adds of mma.sync a cycle and
    # multiprocessor (H100: 0.62 of its peak, as published microbenchmarks of mma.sync found).
    "A100": dict(hbm=2.0e12, l2=4.0e12, l2_bytes=40e6, sms=108, clock=1.41e9, mma=512, arch=80),
    "H100": dict(hbm=3.35e12, l2=5.5e12, l2_bytes=50e6, sms=132, clock=1.755e9, mma=662, arch=90),
}
MMA_PER_PASS = 8  # of one 32 x 32 x 8 product
CHUNK = 4096  # observations from which on several blocks share a row
DIAGONAL_CYCLES = 3800  # the chain of one 32 x 32 elimination: 32 steps of about 120 cycles
GATHER_CYCLES = 700  # latency of a gathered chunk, partly hidden by the one before it


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


def step_costs(arch: int) -> dict[str, tuple[float, float]]:
    """(instructions, shared wavefronts) of one 32 x 32 x 8 product, from the innermost loops that
    hold its mma."""
    cubin = ROOT / "build" / "ledger" / f"solve_rows.sm_{arch}.cubin"
    disassembler = next(Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    text = subprocess.run(
        [disassembler, "-c", cubin], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for section in re.split(r"\n\.text\.", text)[1:]:
        kernel = ledger.plain_name(section.split(":")[0])
        if kernel is None or not kernel.startswith("SolveRowsKernel"):
            continue
        passes = int(kernel[len("SolveRowsKernel<")])
        code, labels, bodies = [], {}, []
        for line in section.splitlines():
            label = re.match(r"\.(L_x_\d+):", line)
            if label:
                labels[label[1]] = len(code)
            name = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)(.*?);", line)
            if not name:
                continue
            code.append(name[1])
            target = re.search(r"L_x_\d+", name[2]) if name[1] == "BRA" else None
            if target and target[0] in labels:  # backwards: a loop
                bodies.append(code[labels[target[0]] :])
        steps = [b for b in bodies if b.count("HMMA") == MMA_PER_PASS * passes]
        body = min(steps, key=len)  # the loop over the contraction: the row's product
        found[kernel] = (float(len(body)), float(body.count("LDS")))
    return found


def row_cost(order, contraction, n, factors, step, passes, resident_panel, short):
    """Tensor multiply-adds, instructions and shared wavefronts of one row."""
    blocks = order // 32
    used = (n if short else factors) / 32  # elimination steps, in tiles
    tiles = blocks * (blocks + 1) // 2
    update = sum((blocks - j) * j + (blocks - 1 - j) for j in range(blocks)) * 4
    steps = tiles * contraction / 8 + update
    gathered = order if short else contraction
    gathers = 1 + (passes == 1 and not resident_panel)
    pieces = gathers * gathered * factors / 4 / 32
    final = n * factors / 32 * (4 if resident_panel else 6) if short else factors / 8
    # Refinement multiplies the gathered rows by a vector, and by their transpose.
    refine = 2 * n * factors / 32 if passes == 1 else 0
    substitutions = 2 if passes == 1 else 1
    instructions = (
        steps * step[0]
        + used * 2300
        + substitutions * blocks * blocks * 160
        + pieces * 14
        + final
        + refine * 3
    )
    wavefronts = steps * step[1] + used * 700 + pieces * 4 + final + refine * 2
    return steps * passes * MMA_PER_PASS * 1024, instructions, wavefronts


def model(gpu: dict, users, items, num_users, num_items, factors, shapes, records, steps):
    padded = -(-factors // 32) * 32
    seconds = roof = 0.0
    parts = {}
    for rows, total, fixed in ((users, num_users, num_items), (items, num_items, num_users)):
        scale = total / len(rows)
        table_bytes = fixed * factors * 4
        hit = min(1.0, gpu["l2_bytes"] / table_bytes)
        bandwidth = 1 / (hit / gpu["l2"] + (1 - hit) / gpu["hbm"])
        bounds = (0, 32, 64, 128, 256, CHUNK, 10**9)
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
                        (64, "4, 1, 32"),
                        (128, "10, 1, 16"),
                        (10**9, "12, 3, 16"),
                    )
                    if order <= limit
                )
                side = "true" if short else "false"
                chunked = not short and low >= CHUNK
                passes = 3 if order <= 128 or chunked else 1
                kernel = f"SolveRowsKernel<{passes}, {variant}, {side}, true>"
                if (gpu["arch"], kernel, factors) not in shapes:  # tiles in global memory
                    kernel = f"SolveRowsKernel<{passes}, {variant}, {side}, false>"
                threads, shared = shapes[gpu["arch"], kernel, factors]
                registers = records[kernel, gpu["arch"]]["registers"]
                resident = ledger.occupancies([(gpu["arch"], registers, 0, shared, threads)])[0]
                mean = float(own.mean())
                contraction = padded if short else mean
                # Within a part, blocks of 32 beyond the row are skipped.
                mean_order = float(np.ceil(own / 32).mean() * 32) if short else order
                panel_stays = short and order <= 64 and order * factors * 4.5 <= 45e3
                cost = row_cost(
                    int(math.ceil(mean_order / 32) * 32),
                    contraction,
                    mean,
                    factors,
                    steps[kernel],
                    passes,
                    panel_stays,
                    short,
                )
                count = len(own) * scale
                in_parallel = max(1.0, mean / CHUNK) if chunked else 1.0  # blocks a row
                gathers = 1 + (not panel_stays) * ((passes == 1) + short)
                moved = count * mean * factors * 4
                memory = moved / bandwidth + (gathers - 1) * moved / gpu["l2"]
                per_second = gpu["sms"] * gpu["clock"]
                warps = threads / 32
                # One block's chain: a row's, or for rows in chunks a chunk's, whose blocks leave
                # the factorisation to one more.
                rounds = 2 if passes == 1 else 1
                gather = min(contraction, CHUNK) / (32 if order <= 64 else 16) * GATHER_CYCLES / 2
                chain = (
                    min(mean, factors) / 32 * DIAGONAL_CYCLES / in_parallel
                    + rounds * gather
                    + cost[1] / in_parallel / warps * 2
                )
                times = {
                    "memory": memory,
                    "tensor": count * cost[0] / gpu["mma"] / per_second,
                    "issue": count * cost[1] / 4 / per_second,
                    "shared": count * cost[2] / per_second,
                    "latency": count * in_parallel * chain / max(resident, 1) / per_second,
                }
                bound = max(times, key=times.get)
                seconds += times[bound]
                side = min(mean, factors)
                product = count * side * side * max(mean, factors) / 2  # lower tiles
                roof += max(moved / bandwidth, product / gpu["mma"] / per_second)
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
    steps = {arch: step_costs(arch) for arch in (80, 90)}
    print(
        "A model, not a measurement. Milliseconds of one iteration, eigendecompositions left out.\n"
    )
    print("| data | factors | GPU | modelled | roofline | ratio | largest parts (bound) |")
    print("|---|---|---|---|---|---|---|")
    results = []
    for name in ("gowalla", "20M (MovieLens-like)", "1e9"):
        try:
            data = lengths(name)
        except FileNotFoundError as missing:
            print(f"| {name} | skipped: {missing} is not there |")
            continue
        for factors in (64, 128, 256):
            for gpu_name, gpu in GPUS.items():
                arch = gpu["arch"]
                seconds, roof, parts = model(gpu, *data, factors, shapes, records, steps[arch])
                largest = sorted(
                    (k for k in parts if not k.endswith("bound")), key=parts.get, reverse=True
                )[:3]
                told = ", ".join(
                    f"{k} {parts[k] / seconds:.0%} ({parts[k + ' bound']})" for k in largest
                )
                print(
                    f"| {name} | {factors} | {gpu_name} | {seconds * 1e3:.2f} | {roof * 1e3:.2f} | "
                    f"{seconds / roof:.1f} | {told} |"
                )
                results.append([name, factors, gpu_name, seconds, roof])
    (work / "model.json").write_text(json.dumps(results))


if __name__ == "__main__":
    main()
