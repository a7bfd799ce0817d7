"""The examples run: the C program against the installed library alone, the REST service, Python."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import penchant
import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def films(movielens, tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "films.penchant"
    data = penchant.datasets.load("movielens-100k")
    penchant.ImplicitALS(factors=32).fit(data, show_progress=False).export(path, dtype="float16")
    return path


def test_c_against_the_installed_library_alone(films, tmp_path):
    install = tmp_path / "installed"
    options = ["CMAKE_BUILD_TYPE=Release", "PENCHANT_READER_ONLY=ON"]
    options.append(f"CMAKE_INSTALL_PREFIX={install}")
    configure = ["cmake", "-S", ROOT, "-B", tmp_path / "build", "-G", "Ninja"]
    # The header is plain C.
    compiler = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    library = [f"-I{install}/include", f"-L{install}/lib", "-lpenchant_reader"]
    for step in (
        [*configure, *(f"-D{option}" for option in options)],
        ["cmake", "--build", tmp_path / "build"],
        ["cmake", "--install", tmp_path / "build"],
        [*compiler, EXAMPLES / "recommend.c", *library, "-o", tmp_path / "recommend"],
    ):
        done = subprocess.run(step, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    library = install / "lib" / "libpenchant_reader.so"
    assert library.stat().st_size < 1_000_000
    needed = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    known = ("linux-vdso", "libstdc++", "libm.", "libgcc_s", "libc.", "ld-linux")
    for line in needed.splitlines():
        assert any(name in line for name in known), line
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True
    )
    names = [line.split()[-1] for line in symbols.stdout.splitlines()]
    assert names
    assert all(name.startswith("penchant_") for name in names)

    environment = {**os.environ, "LD_LIBRARY_PATH": str(install / "lib")}

    def recommend(*arguments):
        command = [tmp_path / "recommend", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    run = recommend(films, "50", "172")
    assert run.returncode == 0, run.stderr
    found = [int(line.split()[0]) for line in run.stdout.splitlines()]
    assert found == penchant.Reader(films).recommend(history=[50, 172], n=10)[0]
    for arguments, message in (
        ([films, "999999"], "none of the 1 items of the history is known"),
        (["/none", "1"], "/none"),
        ([EXAMPLES / "recommend.c", "1"], "not a safetensors file"),
    ):
        run = recommend(*arguments)
        assert run.returncode == 1
        assert message in run.stderr


def test_rest_service(films, monkeypatch):
    testclient = pytest.importorskip("fastapi.testclient")
    assert len((EXAMPLES / "serve.py").read_text().splitlines()) < 60
    monkeypatch.setenv("PENCHANT_ARTIFACT", str(films))
    spec = importlib.util.spec_from_file_location("serve", EXAMPLES / "serve.py")
    serve = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "serve", serve)
    spec.loader.exec_module(serve)
    client = testclient.TestClient(serve.app)
    reader = penchant.Reader(films)

    def items(response):
        assert response.status_code == 200, response.text
        return [entry["item"] for entry in response.json()]

    ask = {"user": 1, "n": 4, "filter_items": [50]}
    assert (
        items(client.post("/recommend", json=ask))
        == (reader.recommend(1, n=4, filter_items=[50])[0])
    )
    ask = {"history": [50, 172]}
    assert items(client.post("/recommend", json=ask)) == reader.recommend(history=[50, 172])[0]
    assert items(client.get("/similar/50?n=3")) == reader.similar(50, 3)[0]
    assert client.post("/reload").status_code == 200
    refused = client.post("/recommend", json={"user": 10**6})
    assert refused.status_code == 422
    assert "is not among the artifact's" in refused.json()["detail"]


def test_python(movielens):
    run = subprocess.run(
        [sys.executable, EXAMPLES / "compact.py"], capture_output=True, text=True, check=True
    )
    assert "recommended: [" in run.stdout
    assert "of which" in run.stdout
