"""The house rules: layers, names, named sources, generated files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAY_USE = {
    "configs": set(),
    "kernels": set(),
    "io": {"kernels", "configs"},
    "trainer": {"io", "kernels", "configs"},
    "python": {"trainer", "io", "kernels", "configs"},
}


def sources(*folders, suffixes=(".h", ".cc", ".cu", ".cuh")):
    return [p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in suffixes]


def test_floors_include_only_floors_below():
    for floor, allowed in MAY_USE.items():
        for path in sources(floor):
            for used in re.findall(r'#include "(\w+)/', path.read_text()):
                if used in MAY_USE or used in ("tests", "bench"):
                    assert used == floor or used in allowed, f"{path.name} includes {used}/"


def test_every_source_is_named_in_its_cmakelists():
    for path in sources(*MAY_USE, "tests", "bench", suffixes=(".cc", ".cu")):
        lists = [p / "CMakeLists.txt" for p in path.parents if (p / "CMakeLists.txt").exists()]
        if path.suffix == ".cu":
            lists = [ROOT / "cmake" / "PenchantCuda.cmake"]
        assert any(path.name in text.read_text() for text in lists), f"{path} is not built"
    for path in ROOT.glob("*/CMakeLists.txt"):
        assert "GLOB" not in path.read_text()


def test_every_op_has_a_cuda_twin_or_says_why_not():
    kernels = ROOT / "kernels"
    stated = set(re.findall(r"\w+/\w+\.cc", (kernels / "README.md").read_text()))
    without = {
        f"{path.parent.name}/{path.name}"
        for path in kernels.glob("*/*.cc")
        if path.parent.name != "base" and path.suffixes == [".cc"]
        if not path.with_suffix(".cu").exists()
    }
    assert stated == without


def test_every_op_is_tested_on_all_devices_and_benchmarked():
    texts = [path.read_text() for path in (ROOT / "tests" / "kernels").glob("*.cc")]
    tests = "".join(text for text in texts if "PENCHANT_ON_ALL_DEVICES" in text)
    benches = "".join(path.read_text() for path in (ROOT / "bench" / "kernels").glob("*.cc"))
    for path in (ROOT / "kernels").glob("*/*.cc"):
        if path.parent.name != "base" and path.with_suffix(".cu").exists():
            included = f'#include "kernels/{path.parent.name}/{path.stem}.h"'
            assert included in tests, path
            assert included in benches, path


def test_no_name_says_nothing():
    for floor in (*MAY_USE, "tests", "bench"):
        for path in (ROOT / floor).rglob("*"):
            stem = path.stem.lower()
            assert not re.search(r"(^|_)(utils?|common|helpers?|misc)(_|$)", stem), path


def test_header_guards_follow_their_path():
    for path in sources(*MAY_USE, "tests", "bench", suffixes=(".h",)):
        relative = path.relative_to(ROOT).as_posix()
        guard = "PENCHANT_" + re.sub(r"[/.]", "_", relative).upper() + "_"
        assert f"#ifndef {guard}\n#define {guard}\n" in path.read_text(), path


def test_cuda_and_protobuf_headers_stay_in_their_rooms():
    for path in sources(*MAY_USE):
        text = path.read_text()
        if path.suffix in (".h", ".cc"):
            assert not re.search(r"#include <(cuda|cublas|thrust|cub/)", text), path
        else:
            assert ".pb.h" not in text, path


def test_parameters_document_is_fresh():
    made = subprocess.run(
        [sys.executable, ROOT / "configs" / "generate_parameters.py"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == (ROOT / "PARAMETERS.md").read_text(), "run ./dev format"
