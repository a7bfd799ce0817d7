"""What solving a row takes of a block: tensor operations, instructions, wavefronts of shared memory
and the cycles of its chain. Instructions come from the kernels' machine code (code_costs),
wavefronts are counted by hand, in the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from code_costs import AHEAD, MMA_ON_DIAGONAL, MMA_PER_TILE, CodeCosts

TILES_A_WARP = {1: 1, 2: 2, 4: 3, 12: 3}  # by the warps of a block
DEPTH = 32  # of a chunk: columns on the short side, observations on the long one
ELEMENT_BYTES = {"float": 4, "Bfloat16": 2}
MMA = 16 * 8 * 16  # multiply-adds of one
INVERT_WAVEFRONTS = 140  # of a tile's inverse beside its pivots
# In cycles: between two instructions of a warp that has its scheduler to itself; of a gathered
# chunk, from its copies to their arrival; of rows of the table that lie in L2, after their numbers.
CYCLES, GATHER_CYCLES, AGAIN_CYCLES = 2, 700, 400
# Latencies, rounded from published microbenchmarks: of an FFMA, a reciprocal, a shuffle or a load
# from shared memory.
FFMA_CYCLES, RECIPROCAL_CYCLES, SHARED_CYCLES = 4, 25, 30


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
    # Of tiles below the diagonal, and of those on it: updates; those of tiles that are half empty;
    # and how often the sums are written.
    updates = sum((blocks - j) * j for j in range(blocks)) - below, below
    spared = row.low * sum(range(blocks - 1)), row.low * (blocks - 1)
    written = max(0, 2 * blocks - 3)
    writes = below + (blocks - 1) * (blocks - 2) / 2 - written, written
    inverted = blocks - row.low / 2  # of a tile that is half empty, one half is
    instructions = (
        used * code.pivot
        + inverted * code.invert
        + warps * blocks * (code.column + code.back_column)
        + sum(n * cost for n, cost in zip(updates, code.update))
        - sum(n * (a - b) for n, a, b in zip(spared, code.update, code.update_low))
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
    mma = 2 * (updates[0] - spared[0] / 2) * MMA_PER_TILE
    mma += 2 * (updates[1] - spared[1] * 2 / 3) * MMA_ON_DIAGONAL
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
