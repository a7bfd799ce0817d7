"""The GPU's tests and benches, recorded: ./dev gpu.

Runs the test suites on device "cuda", ALS on the CPU and the GPU, the kernels' benches on the GPU,
and compute-sanitizer (memcheck, racecheck, initcheck, synccheck) over the kernels' suite.
Writes bench/results/<date>-<gpu>.json after every step; steps run one by one at the same commit go
to the same file. A step that cannot run is recorded with its reason.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import measure
import penchant
from penchant import _penchant
from penchant.doctor import doctor

ROOT = Path(__file__).resolve().parents[1]


def run(*command, **environment) -> dict:
    """Exit code, seconds and the last lines of a command."""
    begin = time.perf_counter()
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    tail = (done.stdout + done.stderr).strip().splitlines()[-12:]
    seconds = round(time.perf_counter() - begin, 1)
    told = "ok  " if done.returncode == 0 else "FAIL"
    print(f"{told} {seconds:7.1f} s  {' '.join(map(str, command))}")
    return {"exit_code": done.returncode, "seconds": seconds, "tail": tail, "out": done.stdout}


def sanitizer_runs(build: Path) -> dict:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return {"skipped": "compute-sanitizer is not on PATH"}
    tests = build / "tests" / "kernels_test"
    results = {}
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        result = run(
            program, "--tool", tool, "--error-exitcode", "9", tests, "--gtest_filter=*/cuda"
        )
        results[tool] = {k: result[k] for k in ("exit_code", "seconds", "tail")}
    return results


def training(train, test, factors: int) -> dict:
    """Seconds of ALS iterations after the first, by device, and how well each model ranks."""
    results = {}
    for device in ("cpu", "cuda"):
        seconds = []
        model = penchant.ImplicitALS(factors=factors, iterations=6, device=device)
        model.fit(train, show_progress=False, callback=lambda i, s, kept=seconds: kept.append(s))
        results[device] = {"seconds_an_iteration": sorted(seconds[1:])[len(seconds[1:]) // 2]}
        if test is not None:
            begin = time.perf_counter()
            metrics = penchant.evaluate(model, test, train, k=20).metrics
            results[device]["evaluation_seconds"] = time.perf_counter() - begin
            results[device]["ndcg@20"] = metrics["ndcg@20"]
    return results


def trainings() -> dict:
    """training() on Gowalla, where it is, and on 20M generated interactions."""
    results = {}
    for name, load in (
        ("Gowalla", measure.gowalla),
        ("20M", lambda: (measure.long_tailed(), None)),
    ):
        try:
            train, test = load()
        except SystemExit as missing:
            results[name] = {"skipped": str(missing)}
            continue
        results[name] = {str(factors): training(train, test, factors) for factors in (64, 128, 256)}
    return results


def write_readme(record: dict) -> None:
    """Puts the measured table where README.md says that there is none yet."""
    lines = [
        f"{record['device']['name']}, driver: {record['driver']}; beside {record['threads']}",
        f"threads of {record['cpu']}; commit {record['commit']} (`./dev gpu`). Seconds of one ALS",
        "iteration:",
        "",
        "| data | factors | CPU | GPU | NDCG@20 CPU / GPU |",
        "|---|---|---|---|---|",
    ]
    for name, of_data in record["als"].items():
        if "skipped" in of_data:
            continue
        for factors, result in of_data.items():
            cpu, cuda = result["cpu"], result["cuda"]
            ranked = " / ".join(f"{r['ndcg@20']:.4f}" for r in (cpu, cuda) if "ndcg@20" in r)
            lines.append(
                f"| {name} | {factors} | {cpu['seconds_an_iteration']:.4f} "
                f"| {cuda['seconds_an_iteration']:.4f} | {ranked} |"
            )
    readme = ROOT / "README.md"
    head, rest = readme.read_text().split("<!-- gpu -->\n")
    tail = rest.split("<!-- end -->", 1)[1]
    readme.write_text(head + "<!-- gpu -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail)


def unit_tests(build: Path) -> dict:
    results = {}
    for suite in ("kernels_test", "trainer_test"):
        result = run(build / "tests" / suite, "--gtest_filter=*cuda", "--gtest_brief=1")
        results[suite] = {k: result[k] for k in ("exit_code", "seconds", "tail")}
    return results


def kernel_benches(build: Path):
    program = build / "bench" / "kernels_bench"
    bench = run(program, "--benchmark_format=json", PENCHANT_BENCH_DEVICE="cuda")
    return json.loads(bench["out"])["benchmarks"] if bench["exit_code"] == 0 else bench["tail"]


STEPS = {
    "tests": unit_tests,
    "als": lambda build: trainings(),
    "kernels": kernel_benches,
    "compute_sanitizer": sanitizer_runs,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./dev gpu", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--build", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--commit", help="what the sources are, where no git can tell")
    parser.add_argument(
        "steps", nargs="*", metavar="STEP", help=f"which of {', '.join(STEPS)}; all, if none"
    )
    arguments = parser.parse_args()
    unknown = set(arguments.steps) - set(STEPS)
    if unknown:
        parser.error(f"no step {', '.join(sorted(unknown))}; there are {', '.join(STEPS)}")
    reason = _penchant.cuda_unavailable_reason()
    if reason:
        sys.exit(f"no GPU can be used here: {reason}")
    cuda = doctor()["cuda"]
    device = cuda["devices"][0]
    record = {**measure.measured_on(), "device": device, "driver": cuda["driver"]}
    if arguments.commit:
        record["commit"] = arguments.commit
    name = re.sub(r"[^A-Za-z0-9]+", "-", device["name"]).strip("-").lower()
    out = ROOT / "bench" / "results" / f"{datetime.date.today()}-{name}.json"
    if out.exists():
        before = json.loads(out.read_text())
        if before["commit"] == record["commit"]:
            record = before
    for step in arguments.steps or STEPS:
        record[step] = STEPS[step](arguments.build)
        out.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {out.relative_to(ROOT)}")
    if "als" in record:
        write_readme(record)
        print("wrote README.md's table")
    failed = [
        name
        for step in ("tests", "compute_sanitizer")
        for name, result in record.get(step, {}).items()
        if name != "skipped" and result["exit_code"] != 0
    ]
    if failed:
        sys.exit(f"failed on the GPU: {', '.join(failed)}")


if __name__ == "__main__":
    main()
