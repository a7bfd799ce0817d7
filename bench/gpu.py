"""The GPU's tests and benches, recorded: ./dev gpu.

Runs the test suites on device "cuda", compute-sanitizer (memcheck, racecheck, initcheck, synccheck)
over the kernels' suite, the kernels' benches on the GPU, and ALS on Gowalla on the CPU and the GPU.
Writes bench/results/<date>-<gpu>.json; a step that cannot run is recorded with its reason.
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


def sanitizer_runs(tests: Path) -> dict:
    program = shutil.which("compute-sanitizer")
    if program is None:
        return {"skipped": "compute-sanitizer is not on PATH"}
    results = {}
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        result = run(
            program, "--tool", tool, "--error-exitcode", "9", tests, "--gtest_filter=*/cuda"
        )
        results[tool] = {k: result[k] for k in ("exit_code", "seconds", "tail")}
    return results


def training(factors: int) -> dict:
    """Seconds of ALS iterations on Gowalla after the first, by device, and the metrics of each."""
    try:
        train, test = measure.gowalla()
    except SystemExit as missing:
        return {"skipped": str(missing)}
    results = {}
    for device in ("cpu", "cuda"):
        seconds = []
        model = penchant.ImplicitALS(factors=factors, iterations=6, device=device)
        model.fit(train, show_progress=False, callback=lambda i, s, kept=seconds: kept.append(s))
        begin = time.perf_counter()
        metrics = penchant.evaluate(model, test, train, k=20).metrics
        results[device] = {
            "seconds_an_iteration": sorted(seconds[1:])[len(seconds[1:]) // 2],
            "evaluation_seconds": time.perf_counter() - begin,
            "ndcg@20": metrics["ndcg@20"],
        }
    return results


def write_readme(record: dict) -> None:
    """Puts the measured table where README.md says that there is none yet."""
    lines = [
        f"{record['device']['name']}, driver: {record['driver']}; commit {record['commit']}",
        "(`./dev gpu`). Seconds of one ALS iteration on Gowalla:",
        "",
        "| factors | CPU | GPU | NDCG@20 CPU / GPU |",
        "|---|---|---|---|",
    ]
    for factors, result in record["als_on_gowalla"].items():
        if "skipped" in result:
            continue
        cpu, cuda = result["cpu"], result["cuda"]
        lines.append(
            f"| {factors} | {cpu['seconds_an_iteration']:.4f} | {cuda['seconds_an_iteration']:.4f} "
            f"| {cpu['ndcg@20']:.4f} / {cuda['ndcg@20']:.4f} |"
        )
    readme = ROOT / "README.md"
    head, rest = readme.read_text().split("<!-- gpu -->\n")
    tail = rest.split("<!-- end -->", 1)[1]
    readme.write_text(head + "<!-- gpu -->\n" + "\n".join(lines) + "\n<!-- end -->" + tail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=Path, required=True)
    build = parser.parse_args().build
    reason = _penchant.cuda_unavailable_reason()
    if reason:
        sys.exit(f"no GPU can be used here: {reason}")
    facts = doctor()
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    record = {
        "commit": commit,
        "device": facts["cuda"]["devices"][0],
        "driver": facts["cuda"]["driver"],
        "tests": {},
    }
    for suite in ("kernels_test", "trainer_test"):
        result = run(build / "tests" / suite, "--gtest_filter=*cuda", "--gtest_brief=1")
        record["tests"][suite] = {k: result[k] for k in ("exit_code", "seconds", "tail")}
    record["compute_sanitizer"] = sanitizer_runs(build / "tests" / "kernels_test")
    bench = run(
        build / "bench" / "kernels_bench", "--benchmark_format=json", PENCHANT_BENCH_DEVICE="cuda"
    )
    record["kernels"] = (
        json.loads(bench["out"])["benchmarks"] if bench["exit_code"] == 0 else bench["tail"]
    )
    record["als_on_gowalla"] = {str(f): training(f) for f in (64, 128, 256)}
    name = re.sub(r"[^A-Za-z0-9]+", "-", record["device"]["name"]).strip("-").lower()
    out = ROOT / "bench" / "results" / f"{datetime.date.today()}-{name}.json"
    out.write_text(json.dumps(record, indent=1) + "\n")
    write_readme(record)
    print(f"wrote {out.relative_to(ROOT)} and README.md's table")
    if any(result["exit_code"] != 0 for result in record["tests"].values()):
        sys.exit("GPU tests failed")


if __name__ == "__main__":
    main()
