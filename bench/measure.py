"""What the benchmarks share: CPU seconds, the data, tables and result files."""

from __future__ import annotations

import datetime
import json
import platform
import re
import resource
import subprocess
from pathlib import Path

import numpy as np
import penchant
from penchant import _penchant
from scipy import sparse

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"


def cpu_seconds() -> float:
    """CPU seconds of this process so far, all threads, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def timed(work) -> float:
    """CPU seconds of one call."""
    begin = cpu_seconds()
    work()
    return cpu_seconds() - begin


def gowalla():
    folder = SHARED / "gowalla"
    if not folder.is_dir():
        raise SystemExit(f"this benchmark needs {folder}")
    train = penchant.Interactions.from_parquet(folder / "train.parquet")
    test = penchant.Interactions.from_parquet(folder / "test.parquet", like=train)
    return train, test


def long_tailed(users=200_000, items=50_000, interactions=20_000_000, seed=1):
    """A seeded long-tailed matrix: log-normal activity of users, Zipf-like popularity of items."""
    random = np.random.default_rng(seed)
    activity = random.lognormal(0.0, 1.1, users)
    popularity = 1.0 / (np.arange(items) + 20.0) ** 0.8
    draws = int(interactions * 1.13)  # repeated pairs are merged
    row = np.searchsorted(np.cumsum(activity / activity.sum()), random.random(draws))
    col = np.searchsorted(np.cumsum(popularity / popularity.sum()), random.random(draws))
    key = np.unique(np.minimum(row, users - 1) * items + np.minimum(col, items - 1))
    key = np.sort(random.permutation(key)[:interactions])
    data = np.ones(len(key), dtype=np.float32)
    return sparse.csr_matrix((data, (key // items, key % items)), shape=(users, items))


def judge(users, items, test, train, k=20) -> dict:
    """Recall and NDCG at k of factor tables, as penchant.evaluate computes them."""
    context = _penchant.Context(2, "cpu")
    parts = [data._core.user_items() for data in (test, train)]
    tables = [np.ascontiguousarray(table, dtype=np.float32) for table in (users, items)]
    found = _penchant.evaluate(context, *tables, *parts, [k])
    return {name: float(np.mean(found[f"{name}@{k}"])) for name in ("recall", "ndcg")}


def table_text(header: list[str], rows: list[list]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in row)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def print_table(header: list[str], rows: list[list]) -> None:
    print(table_text(header, rows), flush=True)


def replace_block(document: Path, name: str, text: str) -> None:
    """Puts ``text`` between a document's lines ``<!-- NAME -->`` and ``<!-- end -->``."""
    head, rest = document.read_text().split(f"<!-- {name} -->\n")
    tail = rest[rest.index("<!-- end -->") :]
    document.write_text(f"{head}<!-- {name} -->\n{text}{tail}")


def commit() -> str:
    """The sources' commit; "-dirty" behind it if anything but results differs from it."""

    def git(*arguments):
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    head = git("rev-parse", "--short", "HEAD").stdout.strip()
    changed = git("diff", "--quiet", "HEAD", "--", ".", ":!README.md", ":!bench/results")
    return f"{head}-dirty" if head and changed.returncode else head


def measured_on() -> dict:
    """What results depend on beside the benchmark: the sources and the machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = re.findall("model name[ \t]*: (.*)", cpuinfo)
    facts = penchant.doctor()
    return {
        "commit": commit(),
        "cpu": names[0] if names else platform.processor(),
        "isa": facts["isa"]["selected"],
        "threads": facts["threads"],
        "blas": facts["blas"],
    }


def save(name: str, results: dict) -> None:
    """Write results with what they were measured on to bench/results."""
    today = datetime.date.today().isoformat()
    path = ROOT / "bench" / "results" / f"{today}-{name}.json"
    path.parent.mkdir(exist_ok=True)
    record = {"date": today, **measured_on(), "results": results}
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")
