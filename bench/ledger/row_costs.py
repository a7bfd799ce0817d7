"""What solving a row takes of a block: tensor operations, instructions, wavefronts of shared memory
and the cycles of its chain. Instructions come from the kernels' machine code (code_costs),
wavefronts are counted by hand, in the sources.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from code_costs import AHEAD, BLOCK, MMA_ON_DIAGONAL, MMA_PER_BLOCK, MMA_PER_TILE, CodeCosts

TILES_A_WARP = {1: 1, 2: 2, 4: 3, 5: 3, 12: 3}  # by the warps of a block
DEPTH = 32  # of a chunk: columns on the short side, observations on the long one
# Lines that a block's warps have on their way together, through registers.
TURN_LINES = {1: 32, 2: 48}
ELEMENT_BYTES = {"float": 4, "Bfloat16": 2}
MMA = 16 * 8 * 16  # multiply-adds of one
# In cycles: between two instructions of a warp that has its scheduler to itself; of a gathered
# chunk, from its copies to their arrival; of rows of the table that lie in L2, after their numbers.
CYCLES, GATHER_CYCLES, AGAIN_CYCLES = 2, 700, 400
# Latencies, rounded from published microbenchmarks: of an FFMA, a reciprocal, a shuffle or a load
# from shared memory, a barrier of a block's warps.
FFMA_CYCLES, RECIPROCAL_CYCLES, SHARED_CYCLES, BARRIER_CYCLES = 4, 25, 30, 20


@dataclass
class RowShape:
    """Rows of a part, alike."""

    short: bool
    pair: bool  # two rows a warp, whose systems share a tile
    side: int  # tiles
    # Share of the rows whose last tile has at most 16 rows in use; of systems of one tile, share of
    # the pivots whose rows spare the tile's last eight columns.
    low: float
    n: float  # observations
    lines: float  # of them, as they are gathered
    turns: float  # of TURN_LINES of them, through registers
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
    side, warps = row.side, row.warps
    step = step_cycles(side == 1, ffma)
    used = row.n if row.short else row.factors  # steps of the elimination
    if side == 1:  # solved without its inverse; half a tile is spared the other's columns
        pairs = used / 2
        steps = code.steps[: math.ceil(pairs)]
        taken = sum(step * min(1.0, pairs - k) for k, step in enumerate(steps))
        spared = row.low * pairs * 4  # loads, with four FFMA each
        instructions = (taken - spared * 5 + used * code.back_step) / row.rows
        wavefronts = (used * (6.75 - row.pair * 2.5) - spared + (16 if row.pair else 32)) / row.rows
        return 0, instructions, wavefronts, used * (step + SHARED_CYCLES + 2 * FFMA_CYCLES)
    costs = [factor_blocks(2 * side - low, used, row, code, step) for low in (0, 1)]
    mma, instructions, wavefronts, chain = (
        whole * (1 - row.low) + low * row.low for whole, low in zip(*costs)
    )
    # Substitution, by tiles.
    below = side * (side - 1) / 2
    instructions += warps * (code.enter + side * code.back_column)
    instructions += below * code.back + side * code.back_solve
    chain += (code.enter + (side - 1) * code.back) * CYCLES
    chain += side * ((code.back_solve + code.back_column) * CYCLES + BARRIER_CYCLES)
    return mma + (below + side) * 8, instructions, wavefronts + (below + side) * 40, chain


def factor_blocks(
    rows: int, used: float, row: RowShape, code: CodeCosts, step: float
) -> tuple[float, float, float, float]:
    """The same of the factorisation of so many rows of blocks."""
    warps = row.warps
    mma = instructions = wavefronts = chain = 0.0
    for c in range(rows):
        below = rows - 1 - c
        ahead = min(below, warps - 1)  # blocks that are reduced while one is inverted
        others = below - ahead
        has_next = below > 0
        next_reduced = has_next and c > 0
        products = below + next_reduced
        steps = products * c
        instructions += steps * code.step + ahead * (code.reduce[0] + code.panel[0])
        instructions += next_reduced * code.reduce[1] + has_next * code.panel[1]
        instructions += others * code.other + code.invert + warps * code.column
        mma += MMA_PER_BLOCK * (steps + below + has_next)
        # ldmatrix; pairs of floats read, and on the diagonal written; blocks of halves.
        wavefronts += steps * 16 + below * (8 + 8 + 8 + 4) + (next_reduced + has_next) * 16 + 30
        reduced = (code.reduce[0] + c * code.step) * (ahead > 0)
        if next_reduced:  # by the last warp, which may have a block of its own
            own = reduced if below >= warps - 1 else 0
            reduced = max(reduced, own + code.reduce[1] + c * code.step)
        pivots = min(BLOCK, max(0.0, used - c * BLOCK))
        chain += max(pivots * step + code.invert * CYCLES, reduced * CYCLES)
        turns = math.ceil(others / warps)
        finished = has_next * code.panel[0] + max(
            has_next * code.panel[1], turns * (code.other + c * code.step)
        )
        chain += (finished + code.column) * CYCLES + 2 * BARRIER_CYCLES
    instructions += used * code.pivot + rows // 2 * code.corner
    wavefronts += used * 5 + rows // 2 * 32
    mma += rows // 2 * 2 * MMA_PER_BLOCK
    chain += math.ceil(rows // 2 / warps) * code.corner * CYCLES
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
    # A warp takes 32 observations, AHEAD of each of its parts a turn; the last turn is half full.
    a_turn = min(32, AHEAD * parts // groups)
    all_turns = max(1, fours // 32) * columns * (row.n / a_turn + 0.5)
    all_bases = max(1, fours // 32) * columns * math.ceil(row.n / 32)
    turns = columns * math.ceil(row.n / (AHEAD * parts))  # of a warp
    a_row, a_column, a_base = code.again_around
    around = a_row + columns * (a_column + math.log2(parts / groups) * code.again_halve)
    if groups > 1:
        a_sum, a_group = code.again_sum
        around += math.ceil(row.factors / 4 / threads) * (a_sum + groups * a_group)
    return (
        row.warps * around + all_turns * code.again + all_bases * a_base,
        all_turns * AHEAD * 6,  # of a load 16 bytes a lane, an id and a weight
        row.rows
        * (turns * AGAIN_CYCLES + (around + turns * code.again + columns * a_base) * CYCLES),
    )


def operand_loads(side: int, tiles_a_warp: int, highs_again: bool) -> int:
    """ldmatrix of a row's product, for 16 columns or observations."""
    places = [(i, j) for i in range(side) for j in range(i + 1)]
    loads = 0
    for k, (i, j) in enumerate(places):
        # A warp's tiles follow each other and share the operand of their row.
        shared = k % tiles_a_warp > 0 and places[k - 1][0] == i
        loads += (0 if shared else 4) + (4 if i != j else 2 if highs_again else 0)
    return loads


def row_cost(row: RowShape, code: CodeCosts, element: str, gpu: dict) -> RowCost:
    side, warps, factors = row.side, row.warps, row.factors
    steps = row.contraction / 16
    products = MMA_ON_DIAGONAL * side + MMA_PER_TILE * side * (side - 1) / 2
    if side > 1:  # a last row of tiles that is half empty is spared 12 of each tile's
        products -= 12 * row.low * side
    mma = steps * (6 if row.pair else products)
    highs_again = row.short and warps <= 2  # where rows are multiplied by themselves
    loads = steps * (2 if row.pair else operand_loads(side, TILES_A_WARP[warps], highs_again))
    eights = (row.lines if row.short else row.contraction) * factors / 8 / 32  # a lane
    # As many warps as there are eight lines share a strip of 32 columns, in powers of two.
    sharing = 2 ** int(math.log2(max(1, min(DEPTH // 8, warps * 32 // factors))))
    chunks = math.ceil(row.contraction / DEPTH)
    # Through registers two chunks at a time.
    through_registers = row.short and warps in TURN_LINES
    turns, arriving = 1.0, eights
    if through_registers:
        chunks = math.ceil(chunks / 2)
        turns = row.turns
        arriving = turns * TURN_LINES[warps] / row.rows * factors / 8 / 32
    strips = chunks * (warps if row.short else sharing * factors // 32)
    formed = (
        mma * code.product
        + eights * code.gather
        + strips * code.strip
        + chunks * warps * turns * code.turn
        + chunks * (warps * code.chunk / row.rows + code.confidences)
    )
    gathered = (
        loads * 4  # four 8 x 8 matrices of 16-byte rows
        # A lane's eight columns: arriving, read again unless in registers, written as 32 bytes of
        # halves; a confidence.
        + arriving * ELEMENT_BYTES[element] * 2
        + eights * (ELEMENT_BYTES[element] * (0 if through_registers else 2) + 8)
        + (0 if row.short else eights)
        # 32 bytes a lane of the diagonal; shuffles and sums.
        + strips * (8 * turns if row.short else 17)
    )
    # Of a chunk: a warp's own instructions, or all of them by the four schedulers; and what a block
    # with its multiprocessor to itself takes of tensor cores and shared memory.
    taken = row.rows * formed / chunks * max(CYCLES / warps, 1 / 4)
    taken = max(taken, row.rows * max(mma * MMA / (2 * gpu["mma"]), gathered) / chunks)
    tiles = side * (side + 1) / 2
    diagonals = math.ceil(factors / 64 / (1 if row.pair else warps))
    a_warp = code.before + diagonals * code.diagonal + code.after
    if row.short and not row.pair:
        cleared = (32 * side - row.lines) * (DEPTH + 4) / 4 / 32 / warps
        a_warp += math.ceil(side / warps) * code.line
        a_warp += math.ceil(cleared) * code.clear
    if row.pair:  # of rows of at most eight lines, the eights after them
        a_warp += row.low * chunks * 4 * math.ceil(8 * (DEPTH + 4) / 4 / 32) * code.clear
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
