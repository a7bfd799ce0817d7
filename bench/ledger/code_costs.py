"""Instructions of the row solver's parts, counted in the kernels' machine code.

Parts are found by what only they do: reciprocals are pivots, HMMA without conversions the product
of two tiles, and so on. A part that is not found is an error, not a zero.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field

import ledger

MMA_PER_TILE, MMA_ON_DIAGONAL = 24, 18  # of one 32 x 32 x 16 product of split halves
BLOCK, MMA_PER_BLOCK = 16, 6  # of 16 x 16 x 16
AHEAD = 8  # observations that are gathered once more, on their way together
# Ways to form a tile and to write it, by the mma of a kernel's code: where systems are one tile, or
# two of half its order; where two warps have three, and where each of a warp's three may lie on the
# diagonal or below.
KINDS = {2 * 18: 1, 2 * 12: 1, 2 * (24 + 2 * 18): 3, 3 * (24 + 18): 6, 6 * (24 + 18): 6}


@dataclass
class CodeCosts:
    """Of one kernel; 0 where it has no such part. Both sides of a branch count, unless said."""

    before: int = 0  # of each warp, before its row is gathered, beside the next three loops
    diagonal: int = 0  # a turn over the row's D^-1/2
    line: int = 0  # a turn over the system's lines (short side)
    clear: int = 0  # a turn over both stages' unused lines, or over some of a pair's
    turn: int = 0  # of a warp that gathers through registers in turns, beside the splitting
    gather: float = 0  # eight lines of a strip, by one warp: eight columns a lane; and splitting
    strip: int = 0  # the loops over strips, beside what is in them: to copy, and to split
    product: float = 0  # an mma of the row's product
    chunk: int = 0  # of each warp, for a chunk, or for two through registers, beside the rest
    confidences: int = 0  # a chunk's, by one warp (long side)
    write: float = 0  # a tile, from its sums to shared memory, or both systems of a pair
    steps: list[int] = field(default_factory=list)  # of two pivots, where systems are one tile
    back_step: float = 0  # of the substitution there
    enter: int = 0  # of each warp, before larger systems are factored
    pivot: float = 0  # of a block's elimination in larger systems
    invert: float = 0  # what the inverse of a block on the diagonal takes beside its pivots
    step: float = 0  # a product of two of the factor's blocks, in a row of them
    # Of a block below the diagonal, and of one on it: to take such a row's sum off; to multiply it
    # by the inverse, and to take the square of that off.
    reduce: tuple[int, int] = (0, 0)
    panel: tuple[int, int] = (0, 0)
    other: int = 0  # to reduce and multiply a block that finds no warp while others are inverted
    column: int = 0  # of each warp, for a column of blocks beside what is counted here
    corner: int = 0  # of the inverse of a tile on the diagonal
    back: int = 0  # a tile's product with a part of the solution
    back_solve: int = 0  # the same of a tile on the diagonal, by one warp
    back_column: int = 0  # of each warp, for a column of the substitution beside those
    after: int = 0  # of each warp, from the solution to the next row, beside the loops that write
    from_panel: int = 0  # 32 columns of both rows of a pair
    scale: int = 0  # a turn over the row (long side)
    again: int = 0  # a turn over AHEAD observations that are gathered once more, to write the row
    again_around: tuple[int, ...] = ()  # loops around those turns: a row, its columns, its ids
    again_halve: int = 0  # the sum over half of a warp's parts
    again_sum: tuple[int, int] = (0, 0)  # four columns of a thread, and each of their groups


class Code:
    """A kernel's instructions, its loops and its straight stretches."""

    def __init__(self, section: str):
        self.operations: list[str] = []
        self.stretches: list[list[int]] = [[]]
        self.jumps: set[int] = set()  # whatever the condition
        ends: dict[int, int] = {}  # of loops, by their beginnings
        labels: dict[str, int] = {}
        for line in section.splitlines():
            label = re.match(r"\.(L_x_\d+):", line)
            if label:
                labels[label[1]] = len(self.operations)
                self.stretches.append([])
            found = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_.]+)(.*?);", line)
            if not found:
                continue
            self.stretches[-1].append(len(self.operations))
            self.operations.append(found[1])
            target = re.search(r"L_x_\d+", found[2]) if found[1].startswith("BRA") else None
            if target:
                self.stretches.append([])
                if "@" not in found[0]:
                    self.jumps.add(len(self.operations) - 1)
                if target[0] in labels:  # backwards
                    ends[labels[target[0]]] = len(self.operations)
        self.loops = [range(begin, end) for begin, end in sorted(ends.items())]
        self.stretches = [s for s in self.stretches if s]

    def count(self, where, *names: str) -> int:
        return sum(self.operations[k].split(".")[0] in names for k in where)

    def loops_with(self, within: range | None = None, **wanted: int) -> list[range]:
        """The loops with just so many of these instructions, the shortest first."""
        return sorted(
            (
                loop
                for loop in (self.loops if within is None else self.inside(within))
                if all(self.count(loop, op) == n for op, n in wanted.items())
            ),
            key=len,
        )

    def inside(self, where: range) -> list[range]:
        """The loops that lie in a stretch, or within another loop."""
        return [
            loop
            for loop in self.loops
            if loop != where and where[0] <= loop[0] and loop[-1] <= where[-1]
        ]

    def own(self, where: range) -> list[int]:
        """The instructions there that lie in no loop within."""
        looped = set().union(*map(set, self.inside(where)))
        return [k for k in where if k not in looped]


def costs_of(code: Code) -> CodeCosts:
    costs = CodeCosts()
    row = max(code.loops, key=len)
    chunk = min(
        (
            loop
            for loop in code.inside(row)
            if code.count(loop, "HMMA")
            and code.count(loop, "LDG", "LDGSTS")
            and code.count(loop, "F2FP")
            and not code.count(loop, "STG")
        ),
        key=lambda loop: loop[0],
    )
    # Pivots take reciprocals, two of them for every two: the first's, the determinant's.
    roots = [k for k in row if code.operations[k].startswith("MUFU.RCP")]
    factor = max((loop for loop in code.inside(row) if roots[0] in loop), key=len, default=None)
    count_before(code, costs, range(row[0], chunk[0]))
    count_chunk(code, costs, chunk)
    written = range(chunk[-1] + 1, roots[0])
    if factor:  # from the search for the largest entry on
        search = max(loop[0] for loop in code.inside(row) if loop[0] < factor[0])
        costs.enter = len(range(search, factor[0]))
        written = range(chunk[-1] + 1, search)
    costs.write = len(code.own(written)) / KINDS[code.count(chunk, "HMMA")]
    solved = (count_factor if factor else count_elimination)(code, costs, roots, factor or row)
    count_after(code, costs, range(solved, row[-1] + 1))
    return costs


def count_before(code: Code, costs: CodeCosts, where: range) -> None:
    costs.before = len(code.own(where))
    costs.diagonal = len(
        (code.loops_with(where, MUFU=2, LDG=1) or code.loops_with(where, MUFU=4))[0]
    )
    for loop in code.loops_with(where, MUFU=1, LDG=2, STS=2):
        costs.line = len(loop)
    for loop in code.loops_with(where, STS=2, LDG=0, LDS=0, MUFU=0):
        costs.clear = len(loop)


def count_chunk(code: Code, costs: CodeCosts, chunk: range) -> None:
    products = [s for s in code.stretches if s[0] in chunk and code.count(s, "LDSM", "HMMA")]
    costs.product = sum(map(len, products)) / sum(code.count(s, "HMMA") for s in products)
    counted = set().union(*products)
    copies = code.loops_with(chunk, LDGSTS=2, HMMA=0) or code.loops_with(chunk, LDGSTS=1, HMMA=0)
    loads = [
        loop
        for loop in code.loops_with(chunk, HMMA=0)
        if code.count(loop, "LDG") and code.count(loop, "F2FP")
    ]
    if copies:
        halves = [copies[0], code.loops_with(chunk, F2FP=8, HMMA=0, LDSM=0)[0]]
        costs.gather = sum(map(len, halves))
        for half in halves:
            counted.update(half)
            for strips in code.inside(chunk):
                if half[0] in strips and strips != half:
                    costs.strip += len(code.own(strips))
                    counted.update(strips)
    else:  # through registers, in turns, or all of two chunks at once
        turn = list(loads[0]) if loads else code.own(chunk)
        arriving = max(k for k in turn if code.count([k], "LDG"))
        split = [
            k
            for s in code.stretches
            if s[0] in turn and code.count(s, "F2FP")
            for k in s
            if k > arriving and k not in counted
        ]
        costs.gather = len(split) * 8 / code.count(split, "F2FP")
        counted.update(split)
        if loads:
            costs.turn = len(turn) - len(split)
            counted.update(turn)
        for loop in code.loops_with(chunk, HMMA=0, LDG=0, STS=1):
            costs.clear = len(loop)
    for k in code.own(chunk):
        if copies and code.count([k], "MUFU"):
            begin = next(s[0] for s in code.stretches if k in s)
            stored = next(i for i in range(k, chunk[-1]) if code.count([i], "STS"))
            costs.confidences = stored + 2 - begin
            counted.update(range(begin, stored + 2))
    # What is left, and is not a loop of another path, for each of two chunks, and of their halves.
    rest = set(code.own(chunk))
    weights = {k: 1 for k in rest}
    for loop in code.inside(chunk):
        if code.count(loop, "HMMA"):
            for k in code.own(loop):
                weights[k] = 2 * (1 + sum(k in other for other in code.inside(loop)))
    costs.chunk = sum(weight for k, weight in weights.items() if k not in counted)


def count_factor(code: Code, costs: CodeCosts, roots: list[int], factor: range) -> int:
    # The last pair's first reciprocal comes later.
    pairs = BLOCK // 2
    steps = [roots[k + 2] - roots[k] for k in range(0, 2 * pairs - 3, 2)]
    costs.pivot = sum(steps) / len(steps) / 2
    # In the code's order: reduce a block, reduce the next on the diagonal, invert; after a barrier
    # multiply by the inverse, take that off the next on the diagonal, and both of another block.
    reduce, diagonal, other = sorted(
        code.loops_with(factor, HMMA=2 * MMA_PER_BLOCK, F2FP=0), key=lambda loop: loop[0]
    )
    costs.step = len(reduce) / 2
    stretches = [s for s in code.stretches if s[0] in factor]

    def of_block(where: range) -> int:
        """What is there beside the products of earlier columns."""
        singles = [
            s
            for s in stretches
            if s[0] in where and code.count(s, "LDSM") == 4 and code.count(s, "HMMA")
        ]
        return len(code.own(where)) - sum(
            next(i for i, k in enumerate(s) if code.count([k], "FADD")) for s in singles
        )

    reduced = next(s[-1] for s in stretches if s[-1] > reduce[-1] and code.count(s, "F2FP") == 8)
    inverts = next(k for k in range(diagonal[-1], factor[-1]) if k in code.jumps) + 1
    inverted = next(k for k in range(roots[2 * pairs - 2], factor[-1]) if code.count([k], "BAR"))

    def branch_behind_products(begin: int) -> int:
        product = next(k for k in range(begin, factor[-1]) if code.count([k], "HMMA"))
        return next(k for k in range(product, factor[-1]) if code.count([k], "BRA"))

    multiplied = branch_behind_products(inverted)
    squared = branch_behind_products(multiplied)
    others = next(loop for loop in code.inside(factor) if loop != other and other[0] in loop)
    end = next(k for k in range(others[-1], factor[-1]) if code.count([k], "BAR"))
    costs.reduce = of_block(range(factor[0], reduced + 1)), of_block(range(reduced + 1, inverts))
    costs.invert = inverted - inverts - BLOCK * costs.pivot
    costs.panel = multiplied - inverted, squared - multiplied
    costs.other = of_block(others)
    costs.column = factor[-1] + 1 - end
    return count_substitution(code, costs, factor)


def count_substitution(code: Code, costs: CodeCosts, factor: range) -> int:
    corner = next(
        loop
        for loop in code.loops_with(HMMA=2 * MMA_PER_BLOCK, F2FP=16, MUFU=0, LDS=0)
        if loop[0] > factor[-1]
    )
    costs.corner = len(corner)
    product, substitution = (
        code.loops_with(HMMA=8, F2FP=8)[0],
        code.loops_with(HMMA=8 + 6, F2FP=16)[0],
    )
    costs.back = len(product)
    own = code.own(substitution)
    costs.back_solve = sum(k > product[-1] for k in own)
    costs.back_column = len(own) - costs.back_solve
    between = range(factor[-1] + 1, substitution[0])
    costs.after = len(code.own(between))
    return substitution[-1] + 1


def count_elimination(code: Code, costs: CodeCosts, roots: list[int], row: range) -> int:
    costs.steps = [b - a for a, b in zip(roots[::2], roots[2::2])]
    # Back, a shuffle a step.
    turns = [k for k in range(roots[-1], row[-1]) if code.count([k], "SHFL")][
        : 2 * len(costs.steps) + 1
    ]
    costs.back_step = (turns[-1] - turns[0]) / (len(turns) - 1)
    costs.after = turns[0] - roots[-1]
    return turns[-1]


def count_after(code: Code, costs: CodeCosts, where: range) -> None:
    costs.after += len(code.own(where))
    for k in code.own(where):  # rows that fail are few
        if code.count([k], "ATOMG", "ATOM"):
            begin = next(s[0] for s in code.stretches if k in s)
            stored = next(i for i in range(k, where[-1]) if code.count([i], "STG"))
            costs.after -= stored + 1 - begin
    for loop in code.loops_with(where, LDS=2, STG=1, LDG=0):
        costs.scale = len(loop)
    for loop in code.loops_with(where, HMMA=8):
        costs.from_panel = len(loop)
    for turn in code.loops_with(where, LDG=AHEAD, SHFL=2 * AHEAD)[:1]:
        costs.again = len(turn)
        around = [loop for loop in code.inside(where) if turn[0] in loop and loop != turn]
        costs.again_around = (0,) * (3 - len(around)) + tuple(len(code.own(k)) for k in around)
        costs.again_halve = len(code.loops_with(where, SHFL=4, LDG=0)[0])
        for loop in code.loops_with(where, STG=1, LDG=0):
            for part in code.inside(loop):
                costs.again_sum = len(code.own(loop)), len(part)


def parts_of(kernel: str) -> list[str]:
    """Fields of CodeCosts that are not 0."""
    parts = ["before", "diagonal", "gather", "product", "write", "after"]
    one_tile = kernel.startswith(("SolvePairs", "SolveRowsKernel<1,"))
    if one_tile:
        parts += ["steps", "back_step"]
    else:
        parts += ["enter", "pivot", "invert", "step", "reduce", "panel", "other", "column"]
        parts += ["corner", "back", "back_solve", "back_column"]
    if ", false, " in kernel.split("float")[0].split("Bfloat16")[0]:  # the long side
        return [*parts, "chunk", "strip", "confidences", "scale"]
    parts += ["again", "again_around", "again_halve"]
    return [*parts, "from_panel"] if "Pairs" in kernel else [*parts, "chunk", "line", "clear"]


def code_costs(arch: int) -> dict[str, CodeCosts]:
    """By kernel name: of all row solvers in build/ledger."""
    found = {}
    for cubin in sorted(ledger.WORK.glob(f"solve_rows_*.sm_{arch}.cubin")):
        text = subprocess.run(
            [ledger.disassembler(), "-c", cubin], capture_output=True, text=True, check=True
        ).stdout
        for section in re.split(r"\n\.text\.", text)[1:]:
            kernel = ledger.plain_name(section.split(":")[0])
            if kernel is not None and kernel.startswith(("SolveRowsKernel", "SolvePairsKernel")):
                found[kernel] = costs_of(Code(section))
                missing = [part for part in parts_of(kernel) if not getattr(found[kernel], part)]
                if missing:
                    raise ValueError(f"{kernel} for sm_{arch}: no code found for {missing}")
    return found
