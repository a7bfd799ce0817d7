"""What an ALS iteration would take on a GPU: a model, not a measurement.

For every part of the row plan it adds up bytes, tensor operations, instructions and shared-memory
wavefronts a row, and takes the slowest of: memory, tensor cores, instruction issue, shared memory,
and the latency of a row's chain over the rows that a multiprocessor holds at a time. Instructions
are counted in the kernels' own machine code (bench/ledger), of most branches both sides: from
above; wavefronts by hand, in the source. Beside it stands the roofline: the same bytes and one TF32
pass of the needed multiply-adds (products and factorisations) at full rate, nothing else.

    ./dev bench gpu_model
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench" / "ledger"))
import ledger  # noqa: E402
from code_costs import AHEAD, MMA_ON_DIAGONAL, MMA_PER_TILE, CodeCosts, code_costs  # noqa: E402

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
TILES_A_WARP = {1: 1, 2: 2, 4: 3, 12: 3}  # by the warps of a block
DEPTH = 32  # of a chunk: columns on the short side, observations on the long one
ELEMENT_BYTES = {"float": 4, "Bfloat16": 2}
MMA = 16 * 8 * 16  # multiply-adds of one
CHUNK = 4096  # observations from which on several blocks share a row
INVERT_WAVEFRONTS = 140  # of a tile's inverse beside its pivots
# In cycles: between two instructions of a warp that has its scheduler to itself; of a gathered
# chunk, from its copies to their arrival; of rows of the table that lie in L2, after their numbers.
CYCLES, GATHER_CYCLES, AGAIN_CYCLES = 2, 700, 400
PANEL_STAYS = 10 << 10  # bytes; kResidentPanelBytes of the launcher
# Latencies, rounded from published microbenchmarks: of an FFMA, a reciprocal, a shuffle or a load
# from shared memory.
FFMA_CYCLES, RECIPROCAL_CYCLES, SHARED_CYCLES = 4, 25, 30


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


@dataclass
class RowShape:
    """Rows of a part, alike."""

    short: bool
    pair: bool  # two rows a warp, whose systems share a tile
    blocks: int  # tiles a side
    # Share of the rows whose last tile has at most 16 rows in use; of systems of one tile, share of
    # the pivots whose rows spare the tile's last eight columns.
    low: float
    n: float  # observations
    lines: float  # of them, as they are gathered
    factors: int
    contraction: float
    panel_stays: bool
    warps: int

    @property
    def rows(self) -> int:
        """Of a block at a time."""
        return 2 if self.pair else 1


@dataclass
class RowCost:
    mma: float
    instructions: float
    wavefronts: float
    chunks: float
    forming: float  # cycles of a chunk's chain
    solving: float  # of the rest's


def step_cycles(one_tile: bool, ffma: int) -> float:
    """Of an elimination: from one pivot to the next."""
    # Two pivots: their rows through shared memory, two stores; their determinant and its
    # reciprocal; what is left of the second row in a row, then, beside its subtraction, of the
    # first.
    if one_tile:  # the next pivots come first
        return (2 + SHARED_CYCLES + RECIPROCAL_CYCLES + 8 * FFMA_CYCLES) / 2
    second = max(8 * ffma, 2 * FFMA_CYCLES)
    pair = 2 + SHARED_CYCLES + 2 * FFMA_CYCLES + RECIPROCAL_CYCLES + FFMA_CYCLES
    return (pair + second + 8 * ffma + FFMA_CYCLES) / 2


def factor_cost(row: RowShape, code: CodeCosts, ffma: int) -> tuple[float, float, float, float]:
    """mma, instructions, wavefronts and cycles in a chain of a row's solution."""
    blocks, warps = row.blocks, row.warps
    step = step_cycles(blocks == 1, ffma)
    used = row.n if row.short else row.factors  # steps of the elimination
    if blocks == 1:  # solved without its inverse; half a tile is spared the other's columns
        pairs = used / 2
        steps = code.steps[: math.ceil(pairs)]
        taken = sum(step * min(1.0, pairs - k) for k, step in enumerate(steps))
        spared = row.low * pairs * 4  # loads, with four FFMA each
        instructions = (taken - spared * 5 + used * code.back_step) / row.rows
        wavefronts = (used * (7.5 - row.pair * 2) - spared + (16 if row.pair else 32)) / row.rows
        return 0, instructions, wavefronts, used * (step + SHARED_CYCLES + 2 * FFMA_CYCLES)
    below = blocks * (blocks - 1) / 2
    halves = 2 * below - row.low * (blocks - 1)
    # Updates of tiles below the diagonal, and of those on it; of them in the last row of tiles; and
    # how often their sums are written.
    on = below
    updates = sum((blocks - j) * j for j in range(blocks)) - on, on
    last = row.low * sum(range(blocks - 1)), row.low * (blocks - 1)
    on = max(0, 2 * blocks - 3)
    writes = below + (blocks - 1) * (blocks - 2) / 2 - on, on
    # A tile with at most 16 rows in use has half of it inverted.
    inverted = sum(1.0 if used - 32 * j > 16 else 0.5 for j in range(blocks))
    instructions = (
        used * code.pivot
        + inverted * code.invert
        + warps * blocks * (code.column + code.back_column)
        + sum(n * cost for n, cost in zip(updates, code.update))
        - sum(n * (a - b) for n, a, b in zip(last, code.update, code.update_low))
        + sum(n * cost for n, cost in zip(writes, code.subtract))
        + halves * code.panel
        + below * code.back
        + blocks * code.back_solve
    )
    wavefronts = (
        used * 5
        + inverted * INVERT_WAVEFRONTS
        + sum(updates) * 2 * 8 * 4  # ldmatrix
        + (writes[0] * 16 + writes[1] * 12) * 2 * 2  # pairs of floats, read and written
        + halves * (2 * (4 * 4 + 4 * 2) + 24)
        + (below + blocks) * (8 * 4 + 8)
    )
    # Warp 0 finishes a diagonal tile and inverts it; meanwhile the others work ahead.
    chain = 0.0
    for j in range(blocks):
        left = blocks - 1 - j
        own = (code.update[1] + code.subtract[1]) * CYCLES if j > 0 else 0
        ahead = math.ceil(left / (warps - 1)) * (j * code.update[0] + code.subtract[0]) * CYCLES
        inverse = used / blocks * step + inverted / blocks * code.invert * CYCLES
        chain += own + max(inverse, ahead if j > 0 else 0)
        turns = math.ceil(2 * left / warps)
        if left > 0 and turns > math.ceil((2 * left - 1) / warps):
            turns -= row.low
        chain += turns * code.panel * CYCLES
    chain += ((blocks - 1) * code.back + blocks * code.back_solve) * CYCLES
    chain += blocks * (code.column + code.back_column) * CYCLES
    mma = 2 * (updates[0] - last[0] / 2) * MMA_PER_TILE
    mma += 2 * (updates[1] - last[1] * 2 / 3) * MMA_ON_DIAGONAL
    mma += halves * MMA_PER_TILE + (below + blocks) * 8
    return mma, instructions, wavefronts, chain


def final_cost(row: RowShape, code: CodeCosts) -> tuple[float, float, float]:
    """Instructions, wavefronts and cycles in a chain of writing a row that is solved."""
    threads = row.warps * 32
    if not row.short:
        instructions = row.warps * math.ceil(row.factors / threads) * code.scale
        return instructions, instructions / 5, instructions / row.warps * CYCLES
    if row.panel_stays:
        chunks = math.ceil(row.factors / DEPTH)
        instructions = chunks * code.from_panel
        return instructions / row.rows, 10 + chunks * (4 * 4 + 4), instructions * CYCLES
    # Threads have four columns each; where there are more, they share the observations.
    fours = 1
    while 2 * fours <= threads and 4 * fours < row.factors:
        fours *= 2
    parts = threads // fours
    groups = max(1, threads // max(32, fours))
    columns = math.ceil(row.factors / 4 / fours)
    turns = columns * math.ceil(row.n / (AHEAD * parts))
    bases = columns * math.ceil(row.n / 32 / groups)
    a_row, a_column, a_base = code.again_around
    instructions = (
        a_row
        + turns * code.again
        + columns * (a_column + math.log2(parts / groups) * code.again_halve)
        + bases * a_base
    )  # of a warp
    if groups > 1:
        a_sum, a_group = code.again_sum
        instructions += math.ceil(row.factors / 4 / threads) * (a_sum + groups * a_group)
    return (
        row.warps * instructions,
        row.warps * turns * AHEAD * 6,  # of a load 16 bytes a lane, an id and a weight
        row.rows * (turns * AGAIN_CYCLES + instructions * CYCLES),
    )


def operand_loads(blocks: int, tiles_a_warp: int) -> int:
    """ldmatrix of a row's product, for 16 columns or observations."""
    places = [(i, j) for i in range(blocks) for j in range(i + 1)]
    loads = 0
    for k, (i, j) in enumerate(places):
        # A warp's tiles follow each other and share the operand of their row.
        shared = k % tiles_a_warp > 0 and places[k - 1][0] == i
        loads += (0 if shared else 4) + (0 if i == j else 4)
    return loads


def row_cost(row: RowShape, code: CodeCosts, element: str, gpu: dict) -> RowCost:
    blocks, warps, factors = row.blocks, row.warps, row.factors
    steps = row.contraction / 16
    products = MMA_ON_DIAGONAL * blocks + MMA_PER_TILE * blocks * (blocks - 1) / 2
    if blocks > 1:  # a last row of tiles that is half empty is spared 12 of each tile's
        products -= 12 * row.low * blocks
    mma = steps * (6 if row.pair else products)
    loads = steps * (2 if row.pair else operand_loads(blocks, TILES_A_WARP[warps]))
    eights = (row.lines if row.short else row.contraction) * factors / 8 / 32  # a lane
    # As many warps as there are eight lines share a strip of 32 columns, in powers of two.
    sharing = 2 ** int(math.log2(max(1, min(DEPTH // 8, warps * 32 // factors))))
    chunks = math.ceil(row.contraction / DEPTH)
    # Two chunks at a time through registers, 16 lines a warp after the other.
    through_registers = row.short and warps <= 2
    if through_registers:
        chunks = math.ceil(chunks / 2)
    turns = 1 if row.pair or not through_registers else math.ceil(row.lines / 16 / warps)
    strips = chunks * (warps if row.short else sharing * factors // 32)
    formed = (
        mma * code.product
        + eights * code.gather
        + strips * code.strip
        + chunks * (warps * code.chunk / row.rows + code.confidences)
    )
    gathered = (
        loads * 4  # four 8 x 8 matrices of 16-byte rows
        # A lane's eight columns: arriving, read again unless in registers, written as 32 bytes of
        # halves; a confidence.
        + eights * (ELEMENT_BYTES[element] * (2 if through_registers else 4) + 8)
        + (0 if row.short else eights)
        # 32 bytes a lane of the diagonal; shuffles and sums.
        + strips * (8 * turns if row.short else 17)
    )
    # Of a chunk: a warp's own instructions, or all of them by the four schedulers; and what a block
    # with its multiprocessor to itself takes of tensor cores and shared memory.
    taken = row.rows * formed / chunks * max(CYCLES / warps, 1 / 4)
    taken = max(taken, row.rows * max(mma * MMA / (2 * gpu["mma"]), gathered) / chunks)
    tiles = blocks * (blocks + 1) / 2
    diagonals = math.ceil(factors / 64 / (1 if row.pair else warps))
    a_warp = code.before + diagonals * code.diagonal + code.after
    if row.short and not row.pair:
        cleared = (32 * blocks - row.lines) * (DEPTH + 4) / 4 / 32 / warps
        a_warp += math.ceil(blocks / warps) * code.line
        a_warp += math.ceil(cleared) * code.clear
    rest = (warps * a_warp + tiles * code.write) / row.rows
    final, final_wavefronts, final_cycles = final_cost(row, code)
    factor_mma, factor_instructions, factor_wavefronts, chain = factor_cost(row, code, gpu["ffma"])
    return RowCost(
        mma=mma + factor_mma,
        instructions=formed + rest + factor_instructions + final,
        wavefronts=gathered
        + tiles * (10 if row.pair else 50)
        + final_wavefronts
        + factor_wavefronts,
        chunks=chunks,
        # The next chunk arrives while this one is multiplied, but not through registers.
        forming=turns * GATHER_CYCLES + taken if through_registers else max(GATHER_CYCLES, taken),
        solving=GATHER_CYCLES
        + (a_warp + tiles * code.write / warps) * CYCLES
        + chain
        + final_cycles,
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
                        (64, "2, 2, 32"),
                        (128, "4, 3, 32"),
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
                panel = 32 * (DEPTH + 4) * 4 * padded // DEPTH
                row = RowShape(
                    short=short,
                    pair=pair,
                    blocks=math.ceil(mean_order / 32),
                    low=share_low(own, order, pair) if short else 0.0,
                    n=mean,
                    lines=float(np.ceil(own / 8).mean() * 8),
                    factors=factors,
                    contraction=padded if short else mean,
                    panel_stays=pair and panel <= PANEL_STAYS,
                    warps=threads // 32,
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
