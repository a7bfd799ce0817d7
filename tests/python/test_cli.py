"""The command, as a user types it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time

import numpy as np
import penchant
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import penchant_command

CONFIG = """
data { path: "events.parquet" user: "who" item: "what" time: "t" }
als { factors: 8 iterations: 5 }
evaluation { split: "time" test_fraction: 0.2 k: 10 }
output: "model.safetensors"
"""


@pytest.fixture
def project(tmp_path):
    random = np.random.default_rng(3)
    users = random.integers(0, 80, 6000)
    items = (random.integers(0, 20, 6000) * 3 + users % 3) % 60
    table = pa.table(
        {"who": [f"user-{u}" for u in users], "what": items, "t": random.integers(0, 10**6, 6000)}
    )
    pq.write_table(table, tmp_path / "events.parquet")
    (tmp_path / "run.textproto").write_text(CONFIG)
    return tmp_path


def test_train_evaluate_recommend_similar_inspect(project):
    done = penchant_command("train", "run.textproto", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "ndcg@10" in done.stdout and "iteration 5/5" in done.stderr
    again = penchant_command(
        "evaluate", "model.safetensors", "run.textproto", "--json", cwd=project
    )
    metrics = json.loads(again.stdout)
    stored = penchant.load(project / "model.safetensors").manifest["metrics"]
    assert {m["name"]: m["value"] for m in stored} == pytest.approx(metrics)
    listed = penchant_command(
        "recommend",
        "model.safetensors",
        "--user",
        "user-3",
        "-n",
        "4",
        "--config",
        "run.textproto",
        "--json",
        cwd=project,
    )
    assert len(json.loads(listed.stdout)) == 4
    plain = penchant_command("recommend", "model.safetensors", "--user", "user-3", cwd=project)
    assert "not left out" in plain.stderr and len(plain.stdout.splitlines()) == 10
    alike = penchant_command("similar", "model.safetensors", "--item", "9", "-n", "3", cwd=project)
    assert alike.stdout.split()[1] == "9"
    assert penchant_command("export", "model.safetensors", cwd=project).returncode == 0
    shown = penchant_command("inspect", "model.penchant", cwd=project)
    assert "full of algorithm als" in shown.stdout and "8 factors in float32" in shown.stdout
    shown = penchant_command("inspect", "model.safetensors", cwd=project)
    assert "algorithm als" in shown.stdout and "ndcg@10" in shown.stdout


def test_segments_are_told_split_and_written(project):
    assert penchant_command("train", "run.textproto", cwd=project).returncode == 0
    command = ["segments", "model.safetensors", "--config", "run.textproto", "-k", "3"]
    told = penchant_command(*command, cwd=project)
    assert told.returncode == 0 and len(told.stdout.splitlines()) == 4
    done = penchant_command(*command, "--split", "0=2", "-o", "s.csv", "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    table = json.loads(done.stdout)
    assert {row["segment"] for row in table} == {"1", "2", "0.0", "0.1"}
    lines = (project / "s.csv").read_text().splitlines()
    assert lines[0] == "user,segment" and lines[1].startswith("user-")
    sizes = {row["segment"]: row["size"] for row in table}
    written = [line.split(",")[1] for line in lines[1:]]
    assert {name: written.count(name) for name in sizes} == sizes
    bad = penchant_command(*command, "--split", "0", cwd=project)
    assert bad.returncode == 2 and "SEGMENT=K" in bad.stderr
    (project / "file").write_text("")
    nowhere = penchant_command(*command, "-o", "file/s.csv", cwd=project)
    assert nowhere.returncode == 1 and "file" in nowhere.stderr and ".s.csv" not in nowhere.stderr
    gone = penchant_command(*command, "--split", "7=2", cwd=project)
    assert gone.returncode == 1 and "there is no segment '7'" in gone.stderr


def test_errors_teach_and_have_codes(project):
    for args, code, said in [
        (
            ["train", "run.textproto", "--set", "als.factor=3"],
            2,
            'no field named "factor". Its fields are factors, ',
        ),
        (["train", "run.textproto", "--set", "als.factors=0"], 2, "factors must be"),
        (["train", "run.textproto", "--set", "data.user=usr"], 1, 'no column "usr"'),
        (
            ["train", "run.textproto", "--set", "data.path=gone.parquet"],
            1,
            "no file matches gone.p",
        ),
        (["train", "run.textproto", "--set", "device=cuda:99"], 1, "cannot be used"),
        (["train", "gone.textproto"], 2, "gone.textproto"),
        (["inspect", "events.parquet"], 1, "safetensors"),
        (["similar", "events.parquet"], 2, "one of --item and --user"),
    ]:
        done = penchant_command(*args, cwd=project)
        assert done.returncode == code, (args, done.stderr)
        assert said in done.stderr and "Traceback" not in done.stderr, done.stderr
    (project / "bad.textproto").write_text("als {\n  factors: many\n}\n")
    done = penchant_command("train", "bad.textproto", cwd=project)
    assert done.returncode == 2 and "bad.textproto:2:" in done.stderr


def test_evaluate_refuses_other_data(project):
    assert penchant_command("train", "run.textproto", cwd=project).returncode == 0
    done = penchant_command(
        "evaluate",
        "model.safetensors",
        "run.textproto",
        "--set",
        "evaluation.test_fraction=0.3",
        cwd=project,
    )
    assert done.returncode == 1 and "fingerprint" in done.stderr


SLOW = [
    "--set",
    "als.factors=256",
    "--set",
    "als.iterations=60",
    "--set",
    "checkpoint.directory=state",
    "--set",
    "num_threads=1",
]


def start_training(project, *extra):
    process = subprocess.Popen(
        [sys.executable, "-m", "penchant.cli", "train", "run.textproto", *SLOW, *extra],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "iteration 3/" in line:
            break
    return process


def factors_of(project, *extra):
    done = penchant_command("train", "run.textproto", *SLOW, *extra, cwd=project)
    assert done.returncode == 0, done.stderr
    model = penchant.load(project / "model.safetensors")
    return model.user_factors.copy(), model.item_factors.copy()


def test_kill_at_any_moment_then_resume_gives_the_same_bits(project):
    wanted = factors_of(project, "--set", "checkpoint.directory=elsewhere")
    for delay in (0.0, 0.013, 0.037):
        process = start_training(project, *(["--resume"] if delay else []))
        time.sleep(delay)
        process.kill()
        process.wait()
    got = factors_of(project, "--resume")
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])
    assert not list(project.glob("*.tmp.*"))


def test_ctrl_c_stops_a_fit_in_the_middle_of_an_iteration(project):
    script = (
        "import penchant; d = penchant.Interactions.from_parquet('events.parquet', user='who', "
        "item='what'); print('start', flush=True); "
        "penchant.ImplicitALS(factors=256, iterations=100000).fit(d, show_progress=False)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors and process.returncode != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_cleanly_with_a_checkpoint(project, number):
    process = start_training(project)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in errors and "Traceback" not in errors
    assert (project / "state" / "checkpoint.safetensors").exists()
    assert (
        penchant_command("train", "run.textproto", *SLOW, "--resume", cwd=project).returncode == 0
    )


def test_a_signal_while_progress_is_written_stops_cleanly_too(project):
    """A line of progress waits for a full pipe, amid Python's stream, when the signal comes."""
    command = [sys.executable, "-m", "penchant.cli", "train", "run.textproto"]
    process = subprocess.Popen(
        [*command, "--set", "als.factors=4", "--set", "als.iterations=1000000"],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
    )
    set_pipe_size = 1031  # fcntl.F_SETPIPE_SZ of Python 3.10
    fcntl.fcntl(process.stderr, set_pipe_size, 4096)
    waiting = bytearray(4)
    while int.from_bytes(waiting, sys.byteorder) < 4096 - 100:  # no room for a line
        assert process.poll() is None
        time.sleep(0.01)
        fcntl.ioctl(process.stderr, termios.FIONREAD, waiting)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopping after this iteration" in errors and "Traceback" not in errors


def test_output_is_tried_before_the_training(project):
    (project / "file").write_text("")
    refused = penchant_command(
        "train", "run.textproto", "--output", "file/model.safetensors", cwd=project
    )
    assert refused.returncode == 1
    assert "training on" not in refused.stderr


def test_an_unknown_user_is_named_in_the_shells_words(project):
    penchant_command("train", "run.textproto", cwd=project)
    refused = penchant_command("recommend", "model.safetensors", "--user", "nobody", cwd=project)
    assert refused.returncode == 1
    assert "'nobody' is not among the 80 users" in refused.stderr


def test_export_writes_what_is_asked_for(project):
    assert penchant_command("train", "run.textproto", cwd=project).returncode == 0
    export = ("export", "model.safetensors", "-o", "out", "--to")
    done = penchant_command(*export, "artifact,npy", "--dtype", "float16", cwd=project)
    assert done.returncode == 0, done.stderr
    assert "wrote out/model.penchant" in done.stdout
    assert "wrote out/model_npy" in done.stdout
    reader = penchant.Reader(project / "out" / "model.penchant", verify=True)
    assert reader.manifest["dtype"] == "float16"
    assert len(reader.recommend("user-3", n=5)[0]) == 5

    # A retrain reaches the servers as a delta.
    base = project / "base.penchant"
    base.write_bytes((project / "out" / "model.penchant").read_bytes())
    longer = ("train", "run.textproto", "--set", "als.iterations=6")
    assert penchant_command(*longer, cwd=project).returncode == 0
    half = ("--dtype", "float16")
    assert penchant_command(*export, "artifact", *half, cwd=project).returncode == 0
    full = (project / "out" / "model.penchant").read_bytes()
    assert (
        penchant_command(*export, "artifact", *half, "--since", base, cwd=project).returncode == 0
    )
    delta = project / "out" / "model.penchant"
    done = penchant_command("apply-delta", base, delta, "new.penchant", cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "new.penchant").read_bytes() == full
    done = penchant_command(*export, "artifact", "--kind", "items", cwd=project)
    assert penchant.Reader(project / "out" / "model.penchant").manifest["kind"] == "items"

    needs = penchant_command(*export, "sqlite", cwd=project)
    assert needs.returncode == 1
    assert "seen=" in needs.stderr
    done = penchant_command(
        *export, "sqlite", "--config", "run.textproto", "--top-n", 3, cwd=project
    )
    assert done.returncode == 0, done.stderr
    for wrong, message in (
        (("artifact,pickle",), "format 'pickle' is unknown"),
        (("onnx", "--dtype", "int4"), "format 'onnx' has no dtype 'int4'"),
    ):
        refused = penchant_command(*export, *wrong, cwd=project)
        assert refused.returncode == 1
        assert message in refused.stderr
