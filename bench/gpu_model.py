"""What an ALS iteration would take on a GPU: a model, not a measurement.

For every part of the row plan it adds up bytes, tensor operations, instructions and shared-memory
wavefronts a row, the instructions a step from the kernels' own machine code (bench/ledger), and
takes the slowest of: memory, tensor cores, instruction issue, shared memory, and the latency of a
row's chain over the rows that a multiprocessor holds at a time. Beside it stands the roofline: the
same bytes and one TF32 pass of the needed multiply-adds (products and factorisations) at full
rate, nothing else.

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
    # bytes/s of HBM and L2, L2 bytes, multiprocessors, clock, multiply-adds of mma.sync in TF32 a
    # cycle and multiprocessor (H100: 0.62 of its peak, as published microbenchmarks of mma.sync
    # found); of halves twice as many.
    "A100": dict(hbm=2.0e12, l2=4.0e12, l2_bytes=40e6, sms=108, clock=1.41e9, mma=512, arch=80),
    "H100": dict(hbm=3.35e12, l2=5.5e12, l2_bytes=50e6, sms=132, clock=1.755e9, mma=662, arch=90),
}
MMA_PER_TILE = 24  # of one 32 x 32 x 16 product of split halves; on the diagonal 18
MMA = 16 * 8 * 16  # multiply-adds of one
CHUNK = 4096  # observations from which on several blocks share a row
DIAGONAL_CYCLES = 3800  # the chain of one 32 x 32 elimination: 32 steps of about 120 cycles
PREPARE, WRITE = 200, 150  # instructions of a row before it is gathered, and of a tile's writing
BACK = 4  # instructions of a step of the substitution in registers
STRIP = 50  # instructions before the loops over a strip's lines: to gather, and to split
REDUCE = 40  # to sum a strip's part of the right-hand side over lanes
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


def code_costs(arch: int) -> dict[str, dict[str, float]]:
    """Instructions of each kernel's parts, from its machine code: `product` and `update` an mma of
    the row's product and of the factorisation, `gather` and `split` eight columns, `pivot` a
    step of the elimination."""
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
        code, labels, loops, blocks = [], {}, [], [[]]
        for line in section.splitlines():
            label = re.match(r"\.(L_x_\d+):", line)
            if label:
                labels[label[1]] = len(code)
                blocks.append([])
            name = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_.]+)(.*?);", line)
            if not name:
                continue
            operation = name[1]
            code.append(operation)
            blocks[-1].append(operation)
            target = re.search(r"L_x_\d+", name[2]) if operation.startswith("BRA") else None
            if target:
                blocks.append([])
                if target[0] in labels:  # backwards: a loop
                    loops.append(code[labels[target[0]] :])

        def count(body, *names):
            return sum(operation.split(".")[0] in names for operation in body)

        products = [
            b for b in blocks if count(b, "LDSM") or (count(b, "HMMA") and not count(b, "LDS"))
        ]
        updates = [b for b in loops if count(b, "HMMA") == MMA_PER_TILE and not count(b, "LDSM")]
        splits = [b for b in loops if count(b, "F2FP") and not count(b, "HMMA")]
        gathers = [b for b in loops if count(b, "LDGSTS") == 2]
        # The unrolled elimination: what lies between the reciprocal roots of its 32 pivots.
        roots = [k for k, operation in enumerate(code) if operation.startswith("MUFU.RSQ")]
        gaps = sorted(b - a for a, b in zip(roots, roots[1:]))
        found[kernel] = {
            "product": sum(map(len, products)) / sum(count(b, "HMMA") for b in products),
            "update": min(map(len, updates), default=0) / MMA_PER_TILE,
            "update LDS": count(min(updates, key=len, default=[]), "LDS") / MMA_PER_TILE,
            "split": min(map(len, splits)),
            "gather": min(map(len, gathers)),
            "pivot": gaps[len(gaps) // 2],
        }
    return found


def row_cost(
    order, rows, contraction, n, factors, code, resident_panel, short, corner, depth, warps
):
    """mma, instructions, shared wavefronts of one row, and its instructions but the elimination's;
    `rows` are gathered on the short side. Chunks are of `depth` columns there, of observations on
    the long side; `corner`: only 16 x 16 of a tile is in use."""
    blocks = order // 32
    used = n if short else factors  # elimination steps
    tile_steps = contraction / 16
    product = tile_steps * (6 if corner else 18 * blocks + MMA_PER_TILE * blocks * (blocks - 1) / 2)
    update = MMA_PER_TILE * 2 * sum((blocks - j) * j + (blocks - 1 - j) for j in range(blocks))
    eights = (rows if short else contraction) * factors / 8 / 32  # a lane
    # As many warps as there are eight lines share a strip of 32 columns, in powers of two.
    sharing = 2 ** int(math.log2(max(1, min(depth // 8, warps * 32 // factors))))
    strips = math.ceil(contraction / depth) * (warps if short else sharing * factors // 32)
    loads = tile_steps * (2 if corner else 4 * blocks + 8 * blocks * (blocks - 1) / 2)  # LDSM
    final = n * factors / 2 / 32 * 11 if short and resident_panel else 0
    final = n * factors / 32 * 6 if short and not resident_panel else final
    rhs = 0 if short else sharing * factors / 32 * 3
    # A step of the elimination; one tile's is solved without its inverse. Half a tile's takes half
    # of the loads and multiply-adds.
    one, tiles = blocks == 1, blocks * (blocks + 1) / 2
    pivot = code["pivot"] + (BACK if one else 0) - corner * 10
    loads_a_pivot = (9 if one else 22) - corner * 2
    instructions = (
        product * code["product"]
        + update * code["update"]
        + eights * (code["gather"] + code["split"])
        + strips * (STRIP if short else STRIP + REDUCE)
        + used * pivot
        + PREPARE
        + tiles * (80 if corner else WRITE)
        + (0 if one else blocks * blocks * 120)  # substitution
        + final
        + rhs
    )
    wavefronts = (
        loads * 4  # four 8 x 8 matrices of 16-byte rows
        + update * code["update LDS"] * 2  # 64 bits a lane
        + eights * (3 * 2 * 4 + (0 if short else 1))  # 32 bytes a lane in, read, written
        + strips * (8 if short else 17)  # 32 bytes a lane of the diagonal; shuffles and sums
        + used * loads_a_pivot
        + tiles * (20 if corner else 50)
        + ((16 if corner else 32) if one else blocks * blocks * 56)
        + (final + rhs) / 3
    )
    # The elimination's instructions are one warp's, in a chain that is counted for itself.
    return product + update, instructions, wavefronts, instructions - used * pivot


def model(gpu, users, items, num_users, num_items, factors, shapes, records, codes):
    padded = -(-factors // 32) * 32
    seconds = roof = 0.0
    parts = {}
    for rows, total, fixed in ((users, num_users, num_items), (items, num_items, num_users)):
        scale = total / len(rows)
        table_bytes = fixed * factors * 4
        hit = min(1.0, gpu["l2_bytes"] / table_bytes)
        bandwidth = 1 / (hit / gpu["l2"] + (1 - hit) / gpu["hbm"])
        bounds = (0, 16, 32, 64, 128, 256, CHUNK, 10**9)
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
                        (128, "5, 2, 16"),
                        (10**9, "12, 3, 16"),
                    )
                    if order <= limit
                )
                side = "true" if short else "false"
                chunked = not short and low >= CHUNK
                corner = short and high == 16
                kernel = f"SolveRowsKernel<{variant}, {side}, true>"
                if (gpu["arch"], kernel, factors) not in shapes:  # tiles in global memory
                    kernel = f"SolveRowsKernel<{variant}, {side}, false>"
                code = codes[kernel]
                threads, shared = shapes[gpu["arch"], kernel, factors][-1 if corner else 0]
                warps = threads // 32
                registers = records[kernel, gpu["arch"]]["registers"]
                resident = ledger.occupancies([(gpu["arch"], registers, 0, shared, threads)])[0]
                mean = float(own.mean())
                contraction = padded if short else mean
                # Within a part, blocks of 32 beyond the row are skipped.
                mean_order = float(np.ceil(own / 32).mean() * 32) if short else order
                depth = 32 if order <= 64 else 16
                panel = order * (depth + 4) * 4 * padded / depth
                panel_stays = short and (padded <= 2 * depth or panel + 12e3 <= 57e3)
                lines = 8 if depth == 32 else 16  # that are gathered together
                cost = row_cost(
                    int(math.ceil(mean_order / 32) * 32),
                    float(np.ceil(own / lines).mean() * lines),
                    contraction,
                    mean,
                    factors,
                    code,
                    panel_stays,
                    short,
                    corner,
                    depth,
                    warps,
                )
                count = len(own) * scale
                in_parallel = max(1.0, mean / CHUNK) if chunked else 1.0  # blocks a row
                moved = count * mean * factors * 4
                again = moved if short and not panel_stays else 0  # for the row itself
                memory = moved / bandwidth + again / gpu["l2"]
                per_second = gpu["sms"] * gpu["clock"]
                # One block's chain: a row's, or for rows in chunks a chunk's, whose blocks leave
                # the factorisation to one more.
                gather = min(contraction, CHUNK) / depth * GATHER_CYCLES / 2
                chain = (
                    min(mean, factors) / 32 * DIAGONAL_CYCLES / in_parallel
                    + gather
                    + cost[3] / in_parallel / warps * 2
                )
                times = {
                    "memory": memory,
                    "tensor": count * cost[0] * MMA / (2 * gpu["mma"]) / per_second,
                    "issue": count * cost[1] / 4 / per_second,
                    "shared": count * cost[2] / per_second,
                    "latency": count * in_parallel * chain / max(resident, 1) / per_second,
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
                seconds, roof, parts = model(gpu, *data, factors, shapes, records, codes[arch])
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
