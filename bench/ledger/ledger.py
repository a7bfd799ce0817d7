"""Compiles every CUDA twin and writes what became of its kernels.

    ledger.py ptx            build/ptx/<op>.sm_90.ptx of every op
    ledger.py write          kernels/ledger.md, and the launch contracts in kernels/README.md
    ledger.py check          fails when either is stale (skips, saying so, under another nvcc)

Needs nvcc, nvdisasm (PyPI: nvidia-cuda-nvdisasm) and a build with tests (cuda_host_launches).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KERNELS = ROOT / "kernels"
WORK = ROOT / "build" / "ledger"
ARCHITECTURES = (80, 90)
FACTORS = (64, 128, 256)
# Counted in the machine code: tensor products, fused multiply-adds, shared and asynchronous loads,
# WARPSYNC (what unproven convergence costs, on sm_80 also as calls) and CALL (of other routines).
INSTRUCTIONS = ("HMMA", "FFMA", "LDS", "LDSM", "STS", "LDGSTS", "WARPSYNC", "CALL")
# Where nearly all of an ALS iteration's time goes: nothing of this may be in them.
HOT = ("SolveRowsKernel", "SolvePairsKernel", "SumChunksKernel")
BANNED_IN_HOT = ("spilled", "WARPSYNC", "CALL")


def nvcc() -> str | None:
    found = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    return found if Path(found).exists() else None


def sources() -> list[Path]:
    text = (ROOT / "cmake" / "PenchantCuda.cmake").read_text()
    listed = re.search(r"set\(PENCHANT_CUDA_SOURCES(.*?)\)", text, re.S)[1].split()
    return [KERNELS / name for name in listed if name not in ("base/cuda_device.cu", "cuda_ops.cu")]


def compile_to(kind: str, source: Path, arch: int) -> tuple[Path, str]:
    """(file, what ptxas told) of one source for one architecture."""
    folder = ROOT / "build" / "ptx" if kind == "ptx" else WORK
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / f"{source.stem}.sm_{arch}.{kind}"
    generate = f"arch=compute_{arch},code=" + (f"compute_{arch}" if kind == "ptx" else f"sm_{arch}")
    flags = ["-std=c++20", "--expt-relaxed-constexpr", "-O3", f"-I{ROOT}", "-Xptxas", "-v"]
    done = subprocess.run(
        [nvcc(), *flags, f"-{kind}", "-gencode", generate, "-o", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"{source.name}: {done.stderr}")
    return out, done.stderr


def compile_all(kind: str, architectures) -> dict:
    jobs = [(source, arch) for source in sources() for arch in architectures]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda job: compile_to(kind, *job), jobs)
    return dict(zip(jobs, results))


def plain_name(mangled: str) -> str | None:
    """The kernel's name with its template arguments; None for Thrust's."""
    full = subprocess.run(["c++filt", mangled], capture_output=True, text=True, check=True).stdout
    match = re.search(r"penchant::cuda::(?:\(anonymous namespace\)::)?(\w+(?:<[^(]*>)?)\(", full)
    return match[1].replace("penchant::", "") if match else None


def disassembler() -> str:
    on_path = shutil.which("nvdisasm")
    if on_path is not None:
        return on_path
    found = list(Path(sys.prefix).glob("lib/python*/site-packages/nvidia/*/bin/nvdisasm"))
    if not found:
        sys.exit("nvdisasm is missing: pip install nvidia-cuda-nvdisasm")
    os.chmod(found[0], 0o755)
    return str(found[0])


def instruction_name(line: str) -> str | None:
    """The instruction in a line of machine code."""
    code = re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z0-9_]+)(.*)", line)
    if code is None or code[1] != "CALL":
        return code and code[1]
    # ptxas for sm_80 leaves loops by a CALL to a label just behind them: a jump.
    if "`(.L_x" in code[2]:
        return "BRA"
    return "WARPSYNC" if re.search(r"sm70_\w+sync", code[2]) else "CALL"


def instruction_counts(cubin: Path) -> dict[str, dict[str, int]]:
    text = subprocess.run(
        [disassembler(), "-c", str(cubin)], capture_output=True, text=True, check=True
    ).stdout
    counts: dict[str, dict[str, int]] = {}
    kernel = None
    for line in text.splitlines():
        section = re.match(r"\.text\.(\S+):", line)
        if section:
            kernel = counts.setdefault(section[1], {})
        name = instruction_name(line)
        if name and kernel is not None:
            kernel[name] = kernel.get(name, 0) + 1
            kernel["all"] = kernel.get("all", 0) + 1
    return counts


def measure() -> list[dict]:
    """One record a kernel and architecture."""
    records = []
    for (source, arch), (cubin, told) in compile_all("cubin", ARCHITECTURES).items():
        counts = instruction_counts(cubin)
        for entry in re.split(r"Compiling entry function ", told)[1:]:
            mangled = re.match(r"'(\S+)'", entry)[1]
            name = plain_name(mangled)
            if name is None:
                continue
            smem = re.search(r"(\d+) bytes smem", entry)
            records.append(
                {
                    "op": source.relative_to(KERNELS).with_suffix("").as_posix(),
                    "kernel": name,
                    "arch": arch,
                    "registers": int(re.search(r"Used (\d+) registers", entry)[1]),
                    "spilled": int(re.search(r"(\d+) bytes spill stores", entry)[1]),
                    "static": int(smem[1]) if smem else 0,
                    **{code: counts[mangled].get(code, 0) for code in (*INSTRUCTIONS, "all")},
                }
            )
    return sorted(records, key=lambda r: (r["op"], r["kernel"], r["arch"]))


def launches() -> dict:
    """{(arch, kernel, factors): [(threads, dynamic shared bytes), the largest first]}, from an
    emulated run."""
    programs = [ROOT / f"build/{tree}/tests/cuda_host_launches" for tree in ("dev", "wheel")]
    program = next((p for p in programs if p.exists()), None)
    if program is None:
        sys.exit("build the tests first (./dev test): cuda_host_launches is missing")
    seen: dict = {}
    for arch in ARCHITECTURES:
        lines = subprocess.run(
            [str(program), *map(str, FACTORS)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PENCHANT_CUDA_HOST_SM": str(arch)},
        ).stdout.splitlines()
        for line in lines:
            factors, kernel, threads, shared = line.split("\t")
            shapes = seen.setdefault((arch, kernel, int(factors)), [])
            shapes.append((int(threads), int(shared)))
            shapes.sort(reverse=True)
    return seen


def occupancies(rows: list[tuple]) -> list[int]:
    program = WORK / "occupancy"
    source = Path(__file__).parent / "occupancy.cc"
    include = f"-I{Path(nvcc()).parents[1]}/include"
    subprocess.run(["g++", include, "-o", str(program), str(source)], check=True)
    lines = "\n".join(" ".join(map(str, row)) for row in rows)
    told = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    return [int(line) for line in told.stdout.split()]


def release() -> str:
    told = subprocess.run([nvcc(), "--version"], capture_output=True, text=True, check=True).stdout
    return re.search(r"V([\d.]+)", told)[1]


def ledger_text(records: list[dict], shapes: dict) -> str:
    rows = []
    for record in records:
        for factors in FACTORS:
            for shape in shapes.get((record["arch"], record["kernel"], factors), ()):
                rows.append((record, factors, *shape))
    blocks = occupancies([(r["arch"], r["registers"], r["static"], s, t) for r, _, t, s in rows])
    occupancy: dict = {}
    for (record, factors, threads, shared), resident in zip(rows, blocks):
        key = (record["kernel"], record["arch"])
        occupancy.setdefault(key, []).append((factors, threads, shared, resident))
    lines = [
        "# The kernels, compiled",
        "",
        f"Generated by `./dev ledger` with nvcc {release()}; `./dev test` checks that it is fresh.",
        "Registers and spilled bytes are a thread's; shared bytes and resident blocks a",
        "multiprocessor (cuda_occupancy.h) stand for launches with "
        + ", ".join(map(str, FACTORS))
        + " factors, as an emulated",
        "run on that architecture makes them. Instructions are counted in the machine code, once",
        "however often they run. WARPSYNC is what unproven convergence costs (on sm_80 also calls",
        "of routines that vote or shuffle); CALL other routines, such as a division's slow path.",
        "The row solver's kernels may have none of these and no spills: `./dev test` fails if so.",
        "",
        "| op | kernel | sm | registers | spilled | threads | factors: shared bytes, blocks | "
        + " | ".join(INSTRUCTIONS)
        + " | all |",
        "|" + "---|" * (8 + len(INSTRUCTIONS)),
    ]
    for r in records:
        seen = occupancy.get((r["kernel"], r["arch"]), [])
        threads = "/".join(sorted({str(t) for _, t, _, _ in seen}))
        if len({(s, b) for _, _, s, b in seen}) == 1:
            shared = f"{seen[0][2] + r['static']}, {seen[0][3]}"
        else:
            shared = "; ".join(f"{f}: {s + r['static']}, {b}" for f, _, s, b in seen)
        lines.append(
            f"| {r['op']} | `{r['kernel']}` | {r['arch']} | {r['registers']} | {r['spilled']} | "
            f"{threads} | {shared} | "
            + " | ".join(str(r[code]) for code in INSTRUCTIONS)
            + f" | {r['all']} |"
        )
    return "\n".join(lines) + "\n"


def with_headers(source: Path) -> str:
    """The text of a source and of the CUDA headers it includes."""
    seen, found = set(), [source]
    while found:
        path = found.pop()
        if path in seen:
            continue
        seen.add(path)
        found += [ROOT / name for name in re.findall(r'#include "(.*\.cuh)"', path.read_text())]
    return "\n".join(path.read_text() for path in sorted(seen))


def contracts_text(shapes: dict) -> str:
    """Launch contracts, with the arguments as the sources declare them."""
    lines = [
        "| kernel | block | dynamic shared bytes (64 / 128 / 256 factors) | arguments |",
        "|---|---|---|---|",
    ]
    for source in sources():
        for name, arguments in re.findall(
            r"__global__ void\s+(?:__launch_bounds__\((?:[^()]|\([^()]*\))*\)\s+)?(\w+)\(([^)]*)\)",
            with_headers(source),
        ):
            seen = sorted(
                k for k in {k for _, k, _ in shapes} if re.fullmatch(rf"{name}(<.*>)?", k)
            )
            for kernel in seen or [name]:
                found = [shapes.get((90, kernel, f)) for f in FACTORS]
                block = next((str(s[0][0]) for s in found if s), "128")
                shared = " / ".join(
                    " or ".join(str(bytes_) for _, bytes_ in s) if s else "-" for s in found
                )
                told = f"`{' '.join(arguments.split())}`" if arguments else "none"
                lines.append(f"| `{kernel}` | {block} | {shared} | {told} |")
    return "\n".join(dict.fromkeys(lines)) + "\n"


def readme_with(contracts: str) -> str:
    text = (KERNELS / "README.md").read_text()
    begin, end = "<!-- launch contracts -->\n", "<!-- end -->"
    head, rest = text.split(begin)
    return head + begin + contracts + end + rest.split(end)[1]


def refuse_banned(records: list[dict]) -> None:
    for r in records:
        for banned in BANNED_IN_HOT:
            if r["kernel"].startswith(HOT) and r[banned] > 0:
                sys.exit(f"{r['kernel']} on sm_{r['arch']}: {banned} {r[banned]}, wanted 0")


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in ("ptx", "write", "check"):
        sys.exit(__doc__)
    if nvcc() is None:
        sys.exit("skipped: there is no nvcc on this machine" if command == "check" else "no nvcc")
    if command == "ptx":
        for (source, _), (out, _) in compile_all("ptx", (90,)).items():
            print(f"{source.relative_to(ROOT)} -> {out.relative_to(ROOT)}")
        return
    ledger = KERNELS / "ledger.md"
    if command == "check" and f"nvcc {release()}" not in ledger.read_text():
        print(f"skipped: the ledger is of another nvcc than this one ({release()})")
        return
    shapes = launches()
    records = measure()
    (WORK / "records.json").write_text(json.dumps(records, indent=1))
    text, readme = ledger_text(records, shapes), readme_with(contracts_text(shapes))
    if command == "write":
        ledger.write_text(text)
        (KERNELS / "README.md").write_text(readme)
        return
    if text != ledger.read_text() or readme != (KERNELS / "README.md").read_text():
        sys.exit("kernels/ledger.md or kernels/README.md is stale: run ./dev ledger")
    refuse_banned(records)


if __name__ == "__main__":
    main()
