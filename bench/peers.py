"""Penchant beside irspack and implicit: CPU seconds of one exact iteration, top-N, a 20M set.

Peers run in turns with Penchant in one process, on the same data, with two threads; the best of
several rounds counts for everyone. Objectives: irspack's iALS has Penchant's (alpha0 is
unobserved_weight, nu the power); implicit's has weight 1 on unobserved pairs and no frequency
scaling, which does not change the work of an iteration.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit asks for it

import implicit
import numpy as np
import penchant
from irspack.recommenders import IALSRecommender
from measure import gowalla, long_tailed, print_table, save, timed

THREADS = 2
UNOBSERVED, REGULARIZATION, POWER = 0.006, 0.003, 0.75


class PenchantIterations:
    """Runs iterations of one fit on demand: the cost of set-up is taken off by difference."""

    def __init__(self, interactions, factors):
        self.interactions, self.factors = interactions, factors

    def seconds(self, rounds: int) -> float:
        """CPU seconds of the cheapest of `rounds` iterations, the first one not counted."""
        times, last = [], [None]

        def callback(iteration, seconds):
            now = cpu()
            if last[0] is not None:
                times.append(now - last[0])
            last[0] = now

        from measure import cpu_seconds as cpu

        model = penchant.ImplicitALS(
            factors=self.factors,
            unobserved_weight=UNOBSERVED,
            regularization=REGULARIZATION,
            regularization_power=POWER,
            alpha=1.0,
            iterations=rounds + 1,
            num_threads=THREADS,
        )
        model.fit(self.interactions, show_progress=False, callback=callback)
        return min(times)


def irspack_trainer(matrix, factors, solver):
    return IALSRecommender(
        matrix,
        n_components=factors,
        alpha0=UNOBSERVED,
        reg=REGULARIZATION,
        nu=POWER,
        solver_type=solver,
        max_cg_steps=3,
        n_threads=THREADS,
    )._create_trainer()


def implicit_iteration(matrix, factors, use_cg):
    """CPU seconds of one iteration: two iterations less one, so that set-up is not charged."""

    def fit(iterations):
        model = implicit.als.AlternatingLeastSquares(
            factors=factors,
            use_cg=use_cg,
            use_gpu=False,
            iterations=iterations,
            num_threads=THREADS,
            random_state=1,
        )
        return timed(lambda: model.fit(matrix, show_progress=False))

    return max(fit(2) - fit(1), 1e-9)


def compare_iterations(factors_list, rounds):
    train, _ = gowalla()
    matrix = train.user_items
    rows, results = [], {}
    for factors in factors_list:
        ours = PenchantIterations(train, factors)
        cholesky = irspack_trainer(matrix, factors, "CHOLESKY")
        cg = irspack_trainer(matrix, factors, "CG")
        best = {}

        def note(name, seconds, best=best):
            best[name] = min(best.get(name, np.inf), seconds)

        for turn in range(rounds):
            note("penchant", ours.seconds(4))
            note("irspack CG(3)", timed(cg.run_epoch))
            note("implicit CG", implicit_iteration(matrix, factors, True))
            if turn < 2:  # the slow ones
                note("irspack Cholesky", timed(cholesky.run_epoch))
                note("implicit Cholesky", implicit_iteration(matrix, factors, False))
        results[factors] = best
        mine = best["penchant"]
        rows.append(
            [factors, mine]
            + [
                f"{best[name]:.3g} ({mine / best[name]:.3f})"
                for name in (
                    "irspack Cholesky",
                    "irspack CG(3)",
                    "implicit CG",
                    "implicit Cholesky",
                )
            ]
        )
    print("CPU seconds of one full iteration on gowalla (in brackets: Penchant's share of it)\n")
    print_table(
        [
            "factors",
            "Penchant, exact",
            "irspack Cholesky",
            "irspack CG(3)",
            "implicit CG",
            "implicit Cholesky",
        ],
        rows,
    )
    return results


def compare_top_n():
    train, test = gowalla()
    matrix = train.user_items
    model = penchant.ImplicitALS(factors=64, iterations=4, num_threads=THREADS)
    model.fit(train, show_progress=False)
    peer = implicit.als.AlternatingLeastSquares(
        factors=64, use_gpu=False, iterations=1, num_threads=THREADS
    )
    peer.fit(matrix, show_progress=False)
    peer.user_factors = np.ascontiguousarray(model.user_factors)
    peer.item_factors = np.ascontiguousarray(model.item_factors)
    users = np.arange(train.num_users)
    best = {"penchant": np.inf, "implicit": np.inf, "evaluation": np.inf}
    for _ in range(3):
        best["penchant"] = min(
            best["penchant"], timed(lambda: model.recommend(users, matrix, N=20))
        )
        best["implicit"] = min(best["implicit"], timed(lambda: peer.recommend(users, matrix, N=20)))
        best["evaluation"] = min(
            best["evaluation"], timed(lambda: penchant.evaluate(model, test, k=20))
        )
    rates = {name: train.num_users / seconds for name, seconds in best.items()}
    print("Top 20 of all 29,858 gowalla users, 64 factors, same tables\n")
    print_table(
        ["", "CPU s", "users per CPU s"], [[name, best[name], round(rates[name])] for name in best]
    )
    print(f"Penchant / implicit: {rates['penchant'] / rates['implicit']:.2f}\n")
    return best


def compare_long_tailed():
    matrix = long_tailed()
    train = penchant.Interactions.from_scipy(matrix)
    trainer = irspack_trainer(matrix, 64, "CG")
    best = {"penchant": np.inf, "irspack CG(3)": np.inf}
    for _ in range(2):
        best["penchant"] = min(best["penchant"], PenchantIterations(train, 64).seconds(2))
        best["irspack CG(3)"] = min(best["irspack CG(3)"], timed(trainer.run_epoch))
    print(f"One iteration at 64 factors on {train.nnz:,} long-tailed interactions\n")
    print_table(["", "CPU s"], [[name, seconds] for name, seconds in best.items()])
    print(f"Penchant / irspack CG(3): {best['penchant'] / best['irspack CG(3)']:.3f}\n")
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["iterations", "top-n", "long-tailed"])
    parser.add_argument("--factors", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--no-save", action="store_true")
    args = parser.parse_args()
    results = {}
    if args.only in (None, "iterations"):
        results["iterations"] = compare_iterations(args.factors, args.rounds)
    if args.only in (None, "top-n"):
        results["top_n"] = compare_top_n()
    if args.only in (None, "long-tailed"):
        results["long_tailed"] = compare_long_tailed()
    if not args.no_save and args.only is None:
        save("peers", results)


if __name__ == "__main__":
    main()
