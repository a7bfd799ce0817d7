"""What an installation says of itself and of the machine's GPUs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import penchant
from click.testing import CliRunner
from conftest import penchant_command
from penchant import _penchant
from penchant.cli import main


def test_doctor_says_why_there_is_no_gpu(tmp_path):
    facts = json.loads(penchant_command("doctor", "--json", cwd=tmp_path).stdout)
    assert facts["cuda"]["usable"] or facts["cuda"]["reason"]
    assert facts["isa"]["selected"] in facts["isa"]["supported"]
    forced = penchant_command("doctor", cwd=tmp_path, env={**os.environ, "PENCHANT_ISA": "v2"})
    assert "kernels v2" in forced.stdout
    wrong = penchant_command("doctor", cwd=tmp_path, env={**os.environ, "PENCHANT_ISA": "v9"})
    assert wrong.returncode != 0 and "this machine runs" in wrong.stderr


def test_doctor_judges_every_gpu(monkeypatch):
    reasons = ["", "device 1 is of compute capability 7.0; the kernels need 8.0 or newer"]
    monkeypatch.setattr(_penchant, "num_cuda_devices", lambda: 2)
    monkeypatch.setattr(_penchant, "cuda_unavailable_reason", lambda index=0: reasons[index])
    monkeypatch.setattr(
        _penchant,
        "cuda_device",
        lambda index: {
            "name": f"GPU number {index}",
            "compute_capability": 8.0 - index,
            "multiprocessors": 1,
            "memory_bytes": 80e9,
            "free_bytes": 20e9,
        },
    )
    first, second = penchant.doctor()["cuda"]["devices"]
    assert first["usable"] and first["reason"] is None
    assert not second["usable"] and second["reason"] == reasons[1]
    lines = CliRunner().invoke(main, ["doctor"]).output.splitlines()
    first, second = (line for line in lines if line.startswith("GPU "))
    assert first.endswith("cuda:0 GPU number 0, compute capability 8.0, 20.0 of 80.0 GB free")
    assert second.endswith(f"20.0 of 80.0 GB free; not usable: {reasons[1]}")
    assert "CUDA      usable" in lines


def test_cuda_libraries_are_looked_for_where_pip_puts_them():
    """The run path that the module's dlopen goes by."""
    module = Path(_penchant.__file__).read_bytes()
    assert b"$ORIGIN/../nvidia/cu13/lib" in module
