"""Every format is opened with its own reader, and gives the model's lists and scores."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import time

import numpy as np
import penchant
import pyarrow as pa
import pytest
from penchant.formats import FORMATS, export

N = 7


@pytest.fixture(scope="module", params=["integers", "strings", "rows"])
def ids(request):
    return request.param


@pytest.fixture(scope="module")
def data(likes, ids):
    if ids == "rows":
        return penchant.Interactions.from_scipy(likes)
    coo = likes.tocoo()
    name = (lambda kind, i: f"{kind}-{i}") if ids == "strings" else (lambda kind, i: int(i) + 1000)
    table = pa.table(
        {
            "user": [name("u", u) for u in coo.row],
            "item": [name("i", i) for i in coo.col],
            "weight": coo.data,
        }
    )
    return penchant.Interactions.from_arrow(table, user="user", item="item", weight="weight")


@pytest.fixture(scope="module", params=["als", "ranking"])
def fitted(request, data):
    model = (
        penchant.ImplicitALS(factors=8, iterations=3)
        if request.param == "als"
        else penchant.RankingMF(factors=8, epochs=5, num_threads=1)
    )
    return model.fit(data, show_progress=False)


@pytest.fixture(scope="module")
def lists(fitted):
    """Some users with their N best items and scores, nothing left out."""
    users = list(fitted._ids("users", np.arange(5, dtype=np.int32)))
    items, scores = fitted.recommend(users, N=N, filter_already_liked_items=False)
    return users, items, scores


def write(fitted, tmp_path, to, **options):
    [path] = export(fitted, tmp_path / "out", to, **options)
    assert path.exists()
    return path


def user_rows(fitted, users):
    return fitted._core.user_factors[fitted._rows("users", users, "user")]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_onnx(fitted, lists, tmp_path, dtype):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(write(fitted, tmp_path, "onnx", dtype=dtype)))
    users, items, scores = lists
    known = np.array(users, dtype=object if isinstance(users[0], str) else np.int64)
    found, values = session.run(
        ["item", "score"], {"user": known, "k": np.array([N], dtype=np.int64)}
    )
    np.testing.assert_allclose(values, scores, rtol=1e-5 if dtype == "float32" else 3e-2, atol=1e-4)
    if dtype == "float32":
        assert found.tolist() == items.tolist()
    # A user nobody knows: the items' biases, or zeros.
    stranger = np.array(["nobody" if isinstance(users[0], str) else -77], dtype=known.dtype)
    _, values = session.run(None, {"user": stranger, "k": np.array([1], dtype=np.int64)})
    biases = getattr(fitted, "item_biases", np.zeros(1))
    np.testing.assert_allclose(values[0, 0], biases.max(), rtol=1e-2, atol=1e-3)


def test_triton(fitted, lists, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    config_pb2 = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    repository = write(fitted, tmp_path, "triton", name="films")
    config = text_format.Parse(
        (repository / "films" / "config.pbtxt").read_text(), config_pb2.ModelConfig()
    )
    session = runtime.InferenceSession(str(repository / "films" / "1" / "model.onnx"))
    assert config.name == "films"
    assert [each.name for each in config.input] == [each.name for each in session.get_inputs()]
    assert [each.name for each in config.output] == [each.name for each in session.get_outputs()]
    types = {
        "tensor(int64)": config_pb2.TYPE_INT64,
        "tensor(string)": config_pb2.TYPE_STRING,
        "tensor(float)": config_pb2.TYPE_FP32,
    }
    for told, has in zip([*config.input, *config.output], session.get_inputs()):
        assert told.data_type == types[has.type]


def label_names(path, fitted, labels):
    names = path.with_name(path.name + ".ids.json")
    if not fitted._core.items.is_string:
        assert not names.exists()
        return labels.tolist()
    return [[json.loads(names.read_text())[label] for label in row] for row in labels]


@pytest.mark.parametrize("ann", [False, True])
def test_faiss(fitted, lists, tmp_path, ann):
    faiss = pytest.importorskip("faiss")
    path = write(fitted, tmp_path, "faiss", ann=ann)
    users, items, scores = lists
    values, labels = faiss.read_index(str(path)).search(user_rows(fitted, users), N)
    found = label_names(path, fitted, labels)
    if ann:
        hits = sum(len(set(a) & set(b)) for a, b in zip(found, items.tolist()))
        assert hits >= 0.9 * items.size
        return
    np.testing.assert_allclose(values, scores, rtol=1e-5, atol=1e-6)
    assert found == items.tolist()


def test_faiss_in_half_precision(fitted, lists, tmp_path):
    faiss = pytest.importorskip("faiss")
    half = write(fitted, tmp_path, "faiss", dtype="float16")
    values, _ = faiss.read_index(str(half)).search(user_rows(fitted, lists[0]), N)
    np.testing.assert_allclose(values, lists[2], rtol=1e-2, atol=1e-3)


def test_hnswlib(fitted, lists, tmp_path):
    hnswlib = pytest.importorskip("hnswlib")
    path = write(fitted, tmp_path, "hnswlib")
    users, items, scores = lists
    index = hnswlib.Index(space="ip", dim=fitted._core.item_factors.shape[1])
    index.load_index(str(path))
    index.set_ef(200)
    labels, distances = index.knn_query(user_rows(fitted, users), k=N)
    found = label_names(path, fitted, labels.astype(np.int64))
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, items.tolist()))
    assert hits >= 0.9 * items.size
    np.testing.assert_allclose(1 - distances[:, 0], scores[:, 0], atol=1e-3)


def scores_of_tables(fitted, lists, user_ids, item_ids, user_factors, item_factors, tolerance):
    users, items, scores = lists
    user_row = {user: row for row, user in enumerate(user_ids)}
    item_row = {item: row for row, item in enumerate(item_ids)}
    for user, found, values in zip(users, items, scores):
        rows = [item_row[item] for item in found]
        products = item_factors[rows].astype(np.float64) @ user_factors[user_row[user]]
        np.testing.assert_allclose(products, values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_arrow(fitted, lists, tmp_path, kind, dtype):
    import polars  # another reader of both than the writer's

    folder = write(fitted, tmp_path, kind, dtype=dtype)
    assert not list(folder.parent.glob(".*"))
    tables = []
    for side in ("users", "items"):
        if dtype == "float16":  # which polars has not
            read = pa.parquet.read_table if kind == "parquet" else pa.feather.read_table
            table = read(folder / f"{side}.{kind}")
            ids, vectors = table["id"].to_pylist(), table["factors"].combine_chunks()
            factors = vectors.flatten().to_numpy().reshape(len(ids), -1)
        else:
            read = polars.read_parquet if kind == "parquet" else polars.read_ipc
            table = read(folder / f"{side}.{kind}")
            ids, factors = table["id"].to_list(), table["factors"].to_numpy()
        tables.append((ids, factors))
    (user_ids, user_factors), (item_ids, item_factors) = tables
    tolerance = 1e-5 if dtype == "float32" else 1e-2
    scores_of_tables(fitted, lists, user_ids, item_ids, user_factors, item_factors, tolerance)


def test_safetensors(fitted, lists, tmp_path):
    from safetensors.numpy import load_file

    tensors = load_file(write(fitted, tmp_path, "safetensors"))

    def ids(side):
        if f"{side}_ids" in tensors:
            return tensors[f"{side}_ids"].tolist()
        ends, data = tensors[f"{side}_id_offsets"], tensors[f"{side}_id_bytes"].tobytes()
        return [data[a:b].decode() for a, b in zip(ends, ends[1:])]

    scores_of_tables(
        fitted,
        lists,
        ids("user"),
        ids("item"),
        tensors["user_factors"],
        tensors["item_factors"],
        1e-5,
    )


def test_npy(fitted, lists, tmp_path):
    folder = write(fitted, tmp_path, "npy")
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in folder.iterdir()}
    scores_of_tables(
        fitted,
        lists,
        arrays["user_ids"].tolist(),
        arrays["item_ids"].tolist(),
        arrays["user_factors"],
        arrays["item_factors"],
        1e-5,
    )


@pytest.mark.parametrize("kind", ["word2vec", "word2vec-binary"])
def test_word2vec(fitted, tmp_path, kind):
    gensim = pytest.importorskip("gensim.models")
    path = write(fitted, tmp_path, kind)
    vectors = gensim.KeyedVectors.load_word2vec_format(path, binary=kind == "word2vec-binary")
    items = fitted._ids("items", np.arange(len(fitted._core.items), dtype=np.int32))
    for row in (0, 50, len(items) - 1):
        np.testing.assert_allclose(
            vectors[str(items[row])], fitted._core.item_factors[row], rtol=1e-5, atol=1e-6
        )


def expected_lists(fitted, data):
    """Users with their 7 best of what they have not."""
    users = list(fitted._ids("users", np.array([0, 9, 200], dtype=np.int32)))
    rows = fitted._rows("users", users, "user")
    return users, *fitted.recommend(users, data.user_items[rows], N=N)


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_sql(fitted, data, tmp_path, kind):
    connect = pytest.importorskip("duckdb").connect if kind == "duckdb" else sqlite3.connect
    database = connect(str(write(fitted, tmp_path, kind, top_n=N)))
    query = "SELECT item, score FROM recommendations WHERE user = ? ORDER BY rank"
    for user, items, scores in zip(*expected_lists(fitted, data)):
        name = user if isinstance(user, str) else int(user)
        found = database.execute(query, [name]).fetchall()
        assert [item for item, _ in found] == items.tolist()
        np.testing.assert_allclose([score for _, score in found], scores, rtol=1e-6)
    database.close()


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory):
    """A client of a real server on a free port."""
    redis = pytest.importorskip("redis")
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = str(tmp_path_factory.mktemp("redis"))
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    client = redis.Redis(port=port)
    for _ in range(100):
        try:
            client.ping()
            break
        except redis.ConnectionError:
            time.sleep(0.05)
    yield client, port
    server.terminate()
    server.wait()


def test_redis(fitted, data, tmp_path, redis_server):
    client, port = redis_server
    path = write(fitted, tmp_path, "redis", top_n=N)
    with path.open("rb") as commands:
        told = subprocess.run(
            ["redis-cli", "-p", str(port), "--pipe"],
            stdin=commands,
            capture_output=True,
            check=True,
        )
    assert b"errors: 0" in told.stdout
    for user, items, scores in zip(*expected_lists(fitted, data)):
        found = client.zrevrange(f"penchant:user:{user}", 0, -1, withscores=True)
        assert [item.decode() for item, _ in found] == [str(item) for item in items]
        np.testing.assert_allclose([score for _, score in found], scores, rtol=1e-6)


def test_artifact(fitted, lists, tmp_path):
    reader = penchant.Reader(write(fitted, tmp_path, "artifact"))
    for user, items, scores in zip(*lists):
        name = user if isinstance(user, str) else int(user)
        found, values = reader.recommend(name, n=N)
        assert found == items.tolist()
        np.testing.assert_allclose(values, scores, rtol=1e-6)


def test_every_format_is_tested_and_bad_requests_write_nothing(fitted, tmp_path):
    tested = globals()
    for name in FORMATS:
        name = "sql" if name in ("sqlite", "duckdb") else name
        name = "arrow" if name == "parquet" else name.removesuffix("-binary")
        assert f"test_{name}" in tested
    with pytest.raises(ValueError, match="'pickle' is unknown; known are artifact"):
        export(fitted, tmp_path / "out", ["npy", "pickle"])
    with pytest.raises(ValueError, match="no dtype 'int4'; it has float32"):
        export(fitted, tmp_path / "out", ["artifact", "hnswlib"], dtype="int4")
    assert not (tmp_path / "out").exists()


def test_lists_need_to_know_what_users_have(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    with pytest.raises(ValueError, match="pass seen="):
        export(penchant.load(tmp_path / "model"), tmp_path / "out", "sqlite")
    assert list((tmp_path / "out").iterdir()) == []
