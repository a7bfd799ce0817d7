"""Instructions of the row solver's parts, counted in the kernels' machine code."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

import ledger

MMA_PER_TILE = 24  # of one 32 x 32 x 16 product of split halves; on the diagonal 18
AHEAD = 8  # of those, whose loads are on their way together


@dataclass
class CodeCosts:
    """Of one kernel. Those of factorisations are 0 where systems are a single tile."""

    product: float  # an mma of the row's product
    gather: float  # eight lines of a strip, by one warp: eight columns a lane; and their splitting
    steps: list[int]  # of two pivots, of a system's elimination that is a single tile
    pivot: float  # of a tile's elimination in larger systems
    invert: float  # what the inverse of a tile on the diagonal takes beside its pivots
    update: int  # the product of two of the factor's tiles
    subtract: int  # what writing such products' sum takes beside them
    panel: int  # half a tile below the diagonal: times the inverse, split, off the right-hand side
    back: int  # a tile's product with a part of the solution
    write: int  # 32 columns of a row, from the panel that its system came from
    again: int  # a turn over AHEAD observations that are gathered once more, to write the row


class Code:
    """A kernel's instructions, its loops and its straight stretches."""

    def __init__(self, section: str):
        self.operations: list[str] = []
        self.loops: list[tuple[int, int]] = []
        self.stretches: list[list[int]] = [[]]
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
                if target[0] in labels:  # backwards
                    self.loops.append((labels[target[0]], len(self.operations)))

    def count(self, where, *names: str) -> int:
        return sum(self.operations[k].split(".")[0] in names for k in where)

    def loops_with(self, **wanted: int) -> list[tuple[int, int]]:
        """The loops with just so many of these instructions, the shortest first."""
        return sorted(
            (
                loop
                for loop in self.loops
                if all(self.count(range(*loop), op) == n for op, n in wanted.items())
            ),
            key=lambda loop: loop[1] - loop[0],
        )


def length(loop: tuple[int, int]) -> int:
    return loop[1] - loop[0]


def costs_of(code: Code) -> CodeCosts:
    updates = code.loops_with(HMMA=MMA_PER_TILE, F2FP=0, MUFU=0, LDGSTS=0)
    copies = code.loops_with(LDGSTS=2, HMMA=0) or code.loops_with(LDGSTS=1, HMMA=0)
    if copies:
        gather = length(copies[0]) + length(code.loops_with(F2FP=8, HMMA=0, LDSM=0)[0])
    else:  # through registers, several eights of columns a turn; of pairs all of two chunks
        splits = [s for s in code.loops if code.count(range(*s), "F2FP") >= 4 * 8]
        turn = min(splits, key=length)
        gather = length(turn) - sum(length(s) for s in updates if turn[0] < s[0] < turn[1])
        gather *= 8 / code.count(range(*turn), "F2FP")
    if len(updates) == 1:  # of pairs, whose systems are not factored by tiles
        products, updates = [range(*updates[0])], []
    else:
        before = updates[0][0] if updates else len(code.operations)
        products = [
            s
            for s in code.stretches
            if s
            and s[0] < before
            and (code.count(s, "LDSM") or (code.count(s, "HMMA") and not code.count(s, "LDS")))
        ]
    # The unrolled elimination: two pivots a step, each step with the reciprocals of its first and
    # of its determinant.
    roots = [k for k, operation in enumerate(code.operations) if operation.startswith("MUFU.RCP")]
    costs = CodeCosts(
        product=sum(map(len, products)) / sum(code.count(s, "HMMA") for s in products),
        gather=gather,
        steps=[b - a for a, b in zip(roots[::2], roots[2::2])],
        pivot=0,
        invert=0,
        update=0,
        subtract=0,
        panel=0,
        back=0,
        write=0,
        again=0,
    )
    again = code.loops_with(LDG=AHEAD, SHFL=2 * AHEAD, HMMA=0)
    if again:
        costs.again = length(again[0])
    if updates:
        # Two blocks of 16 pivots; the last pair's first reciprocal comes later.
        between = max(range(1, len(roots)), key=lambda k: roots[k] - roots[k - 1])
        steps = [roots[k + 2] - roots[k] for k in range(0, between - 3, 2)]
        costs.pivot = sum(steps) / len(steps) / 2
        begin = next(s for s in code.stretches if s and s[0] <= roots[0] <= s[-1])[0]
        end = next(k for k in range(roots[-1], len(code.operations)) if code.count([k], "BAR"))
        costs.invert = end - begin - 32 * costs.pivot
        # A tile takes two turns of the loops over its columns. Around the products' loop lie that
        # over the tiles to be multiplied, then that over the tiles of a column.
        inner, products, column = updates[:3]
        costs.update = 2 * length(inner) + length(products) - length(inner)
        costs.subtract = length(column) - length(products)
        panel = code.loops_with(HMMA=MMA_PER_TILE // 2, F2FP=8)[0]
        costs.panel = length(panel) + length(code.loops_with(HMMA=MMA_PER_TILE // 2, F2FP=24)[0])
        costs.back = length(code.loops_with(HMMA=8)[0])
    elif again and code.loops_with(HMMA=8):
        costs.write = length(code.loops_with(HMMA=8)[0])
    return costs


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
    return found
