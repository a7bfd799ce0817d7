"""./dev gpu's table in README.md, from a record as bench/gpu.py writes it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def gpu(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import gpu

    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    yield gpu
    sys.modules.pop("gpu")


def test_the_record_replaces_what_readme_says(gpu, tmp_path):
    readme = tmp_path / "README.md"
    assert (ROOT / "README.md").read_text().count("<!-- gpu -->\n") == 1
    readme.write_text("before\n<!-- gpu -->\nnot yet measured\n<!-- end -->\nafter\n")
    ranked = {"seconds_an_iteration": 0.5, "ndcg@20": 0.125}
    record = {
        "commit": "abc",
        "cpu": "a CPU",
        "threads": 16,
        "device": {"name": "a GPU"},
        "driver": "550",
        "als": {
            "Gowalla": {"skipped": "not there"},
            "other": {"64": {"cpu": ranked, "cuda": {**ranked, "seconds_an_iteration": 0.01}}},
            "20M": {"128": {d: {"seconds_an_iteration": 2.0} for d in ("cpu", "cuda")}},
        },
    }
    for _ in range(2):  # a later record replaces an earlier one's table
        gpu.write_readme(record)
    told = readme.read_text()
    assert "not yet measured" not in told
    assert told.count("| other | 64 | 0.5000 | 0.0100 | 0.1250 / 0.1250 |") == 1
    assert "| 20M | 128 | 2.0000 | 2.0000 |  |" in told
    assert told.startswith("before\n") and told.endswith("\n<!-- end -->\nafter\n")


def test_an_unknown_step_lists_those_there_are(gpu, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu.py", "--build", "build", "nonsense"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "no step nonsense; there are tests, als, kernels" in capsys.readouterr().err
