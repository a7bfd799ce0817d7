"""Exported artifacts answer as the model does; what is denied never appears."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import numpy as np
import penchant
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from penchant.business_rules import compile_rules

DTYPES = ["float32", "float16", "bfloat16", "int8", "int4", "pq"]
MODELS = {
    "als": lambda: penchant.ImplicitALS(factors=16, iterations=5),
    "bpr": lambda: penchant.RankingMF(factors=16, epochs=60, deterministic=True),
    "ccl": lambda: penchant.RankingMF("ccl", factors=16, epochs=40, deterministic=True),
    "softmax": lambda: penchant.RankingMF("softmax", factors=16, epochs=40, deterministic=True),
    "item2vec": lambda: penchant.Item2Vec(factors=16, epochs=10, deterministic=True),
    "popularity": penchant.Popularity,
}


@pytest.fixture(scope="module")
def fitted(likes):
    return {name: make().fit(likes, show_progress=False) for name, make in MODELS.items()}


def exported(model, tmp_path, **options) -> penchant.Reader:
    model.export(tmp_path / "a.penchant", **options)
    return penchant.Reader(tmp_path / "a.penchant", verify=True)


@pytest.mark.parametrize("name", MODELS)
def test_float32_gives_the_models_lists_and_scores(name, fitted, likes, tmp_path):
    model = fitted[name]
    reader = exported(model, tmp_path)
    for user in (0, 7, 299):
        ids, scores = model.recommend(user, likes[user], N=8)
        found, values = reader.recommend(user, history=likes[user].indices.tolist(), n=8)
        assert found == ids.tolist()
        np.testing.assert_array_equal(values, scores)
        assert reader.score([(user, item) for item in found]).tolist() == values.tolist()
    if name == "popularity":
        return
    ids, scores = model.similar_items(5, N=8)
    found, values = reader.similar(5, n=7)
    assert found == [item for item in ids.tolist() if item != 5]
    np.testing.assert_allclose(values, scores[ids != 5], atol=1e-5)


@pytest.mark.parametrize("name", ["als", "item2vec", "popularity"])
def test_histories_are_folded_in_as_the_model_does(name, fitted, likes, tmp_path):
    model = fitted[name]
    reader = exported(model, tmp_path, kind="items")
    for user in (1, 50):
        history = dict(zip(likes[user].indices.tolist(), likes[user].data.tolist()))
        ids, scores = model.recommend(-1, likes[user], N=10, recalculate_user=True)
        found, values = reader.recommend(history=history, n=10)
        np.testing.assert_allclose(values, scores, rtol=2e-4, atol=1e-5)
        assert found == ids.tolist()


def test_explanations_are_the_models(fitted, likes, tmp_path):
    for name in ("als", "item2vec"):
        model = fitted[name]
        reader = exported(model, tmp_path, kind="items")
        history = dict(zip(likes[3].indices.tolist(), likes[3].data.tolist()))
        score, parts = reader.explain(history, 9)
        total, contributions, _ = model.explain(3, likes[3], 9, N=1000)
        assert score == pytest.approx(total, abs=1e-5)
        assert dict(parts) == pytest.approx(dict(contributions), abs=1e-5)
    with pytest.raises(ValueError, match="als and item2vec explain"):
        exported(fitted["bpr"], tmp_path).explain([1], 2)


@pytest.mark.parametrize("name", ["bpr", "ccl", "softmax"])
def test_ranking_models_fold_in_as_well_as_the_trainer(name, movielens):
    """Users the model never saw, from 80% of what they did: recall of the rest."""
    data = penchant.datasets.load("movielens-100k")
    matrix = data.user_items[:, :]
    known, new = matrix[150:], matrix[:150]
    loss = {"epochs": 60} if name == "bpr" else {}
    model = penchant.RankingMF(name, deterministic=True, **loss).fit(known, show_progress=False)
    random = np.random.default_rng(1)
    held = [random.random(new[u].nnz) < 0.2 for u in range(150)]
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"fold-{name}-{os.getpid()}.penchant"
    model.export(path, kind="items")
    reader = penchant.Reader(path)
    path.unlink()
    recalls = {"reader": [], "model": []}
    for user in range(150):
        items = new[user].indices
        shown, hidden = items[~held[user]], set(items[held[user]].tolist())
        if not hidden or len(shown) == 0:
            continue
        row = new[user].copy()
        row.data = np.where(held[user], 0, 1).astype(np.float32)
        row.eliminate_zeros()
        lists = {
            "reader": reader.recommend(history=shown.tolist(), n=20)[0],
            "model": model.recommend(0, row, N=20, recalculate_user=True)[0].tolist(),
        }
        for who, found in lists.items():
            recalls[who].append(len(hidden & set(found)) / min(20, len(hidden)))
    means = {who: np.mean(values) for who, values in recalls.items()}
    assert means["reader"] > 0.95 * means["model"], means
    assert means["model"] > 0.2


@pytest.mark.parametrize("dtype", DTYPES)
def test_small_types_keep_most_of_a_list(dtype, fitted, tmp_path):
    model = fitted["als"]
    reader = exported(model, tmp_path, dtype=dtype)
    assert reader.manifest["dtype"] == dtype
    kept = []
    for user in range(100):
        ids, _ = model.recommend(user, N=20, filter_already_liked_items=False)
        kept.append(len(set(ids.tolist()) & set(reader.recommend(user, n=20)[0])) / 20)
    least = {"float32": 1.0, "float16": 0.99, "bfloat16": 0.97, "int8": 0.95}
    assert np.mean(kept) >= least.get(dtype, 0.6)


def test_an_items_artifact_has_no_trace_of_a_user(tmp_path, likes):
    coo = likes.tocoo()
    table = pa.table(
        {"user": [f"secret-{u}" for u in coo.row], "item": [f"sku-{i}" for i in coo.col]}
    )
    data = penchant.Interactions.from_arrow(table, user="user", item="item")
    model = penchant.ImplicitALS(factors=8).fit(data, show_progress=False)
    model.export(tmp_path / "items", kind="items")
    content = (tmp_path / "items").read_bytes()
    assert b"secret" not in content
    assert model.user_factors[0].tobytes()[:12] not in content
    model.export(tmp_path / "full")
    assert b"secret" in (tmp_path / "full").read_bytes()


CATEGORIES = ["wine", "tea", "coffee", None]
RULES = [
    "if country in ['SA', 'KW'] then deny category wine",
    'if age != adult and country == "DE" then deny category ["wine", "coffee"]',
    "if kind == gift then only category tea",
]


def denied(context, category):
    country, age, kind = (context.get(field) for field in ("country", "age", "kind"))
    return (
        (country in ("SA", "KW") and category == "wine")
        or (age != "adult" and country == "DE" and category in ("wine", "coffee"))
        or (kind == "gift" and category != "tea")
    )


@pytest.fixture(scope="module")
def ruled(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "a.penchant"
    categories = [CATEGORIES[row % 4] for row in range(120)]
    fitted["als"].export(path, item_attributes={"category": categories}, rules=RULES)
    return penchant.Reader(path), categories


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    context=st.fixed_dictionaries(
        {},
        optional={
            "country": st.sampled_from(["SA", "KW", "DE", "FR"]),
            "age": st.sampled_from(["adult", "child"]),
            "kind": st.sampled_from(["gift", "own"]),
        },
    ),
    n=st.integers(1, 150),
    filtered=st.lists(st.integers(0, 130), max_size=40),
    allow=st.none() | st.lists(st.integers(0, 130), max_size=60),
    boosts=st.dictionaries(st.integers(0, 130), st.floats(-5, 5), max_size=10),
    cap=st.none() | st.integers(1, 5),
    who=st.integers(0, 299) | st.lists(st.integers(0, 119), min_size=1, max_size=5),
)
def test_a_denied_item_never_appears(ruled, context, n, filtered, allow, boosts, cap, who):
    reader, categories = ruled
    history = who if isinstance(who, list) else []
    ids, scores = reader.recommend(
        None if history else who,
        history=history or None,
        n=n,
        filter_items=filtered,
        allow=allow,
        boosts=boosts,
        caps=None if cap is None else {"category": cap},
        context=context,
    )
    assert len(set(ids)) == len(ids) <= n
    assert (np.diff(scores) <= 0).all()
    for item in ids:
        assert not denied(context, categories[item])
        assert item not in filtered and item not in history
        assert allow is None or item in allow
    if cap is None:  # nothing that might appear is missing
        may = set(range(120)) if allow is None else set(allow) & set(range(120))
        may -= {i for i in may if denied(context, categories[i])} | set(filtered) | set(history)
        assert len(ids) == min(n, len(may))
    else:
        shown = [categories[i] for i in ids if categories[i] is not None]
        assert all(shown.count(name) <= cap for name in set(shown))


@pytest.mark.parametrize(
    "rule, wrong",
    [
        ("deny", "found 'the end' where a name belongs"),
        ("if country == 'SA' deny category wine", "found 'deny' where and or then belongs"),
        ("if country < 5 then deny category wine", "cannot read '< 5"),
        ("deny colour red", "no item attribute 'colour'; item_attributes= has category"),
        ("deny category beer", "no item's category is 'beer'"),
        ("deny category wine tea", "'tea' is left over"),
        ("allow category wine", "found 'allow' where deny or only belongs"),
        ("deny category [wine", "found 'the end' where , or ] belongs"),
    ],
)
def test_rules_that_cannot_be_read_say_why(rule, wrong):
    codes = {"category": (np.zeros(3, dtype=np.int32), {"wine": 0, "tea": 1})}
    with pytest.raises(ValueError) as error:
        compile_rules([rule], codes)
    assert wrong in str(error.value)


def test_attributes_by_id_and_by_row(fitted, tmp_path):
    model = fitted["als"]
    for values in ({3: "x", 4: "x", 5000: "y"}, ["x" if r in (3, 4) else None for r in range(120)]):
        model.export(tmp_path / "a", item_attributes={"kind": values}, rules=["deny kind x"])
        ids, _ = penchant.Reader(tmp_path / "a").recommend(0, n=120)
        assert set(range(120)) - set(ids) == {3, 4}
    with pytest.raises(ValueError, match="has 2 values for 120 items"):
        model.export(tmp_path / "a", item_attributes={"kind": ["x", "y"]})


@pytest.mark.parametrize("dtype", DTYPES)
def test_deltas_lead_to_the_very_bytes(dtype, likes, tmp_path):
    model = penchant.ImplicitALS(factors=16, iterations=3).fit(likes, show_progress=False)
    base, delta, full, made = (tmp_path / name for name in ("base", "delta", "full", "made"))
    model.export(base, dtype=dtype)
    model.partial_fit_users([3, 1000], likes[[10, 11]])
    model.partial_fit_items([500], likes.T.tocsr()[[2]].tocsr()[:, :].copy() @ _grow(likes))
    model.export(full, dtype=dtype)
    model.export(delta, dtype=dtype, since=base)
    penchant.apply_delta(base, delta, made)
    assert made.read_bytes() == full.read_bytes()
    assert not list(tmp_path.glob("*.whole"))
    with pytest.raises(penchant.DataError, match="the delta is for"):
        penchant.apply_delta(full, delta, made)
    with pytest.raises(penchant.DataError, match="apply it to the artifact"):
        penchant.Reader(delta)


def _grow(likes):
    """Users x (users + 1): the identity, with a column for the user that partial_fit added."""
    from scipy.sparse import identity

    return identity(likes.shape[0] + 1, dtype=np.float32, format="csr")[: likes.shape[0]]


def test_reloads_under_load(fitted, tmp_path):
    fitted["als"].export(tmp_path / "a")
    fitted["bpr"].export(tmp_path / "b")
    reader = penchant.Reader(tmp_path / "a")
    wanted = [penchant.Reader(tmp_path / name).recommend(1, n=9)[0] for name in "ab"]
    wrong, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            ids, _ = reader.recommend(1, n=9)
            if ids not in wanted:
                wrong.append(ids)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        reader.reload(tmp_path / "ab"[turn % 2])
    (tmp_path / "bad").write_text("no artifact")
    with pytest.raises(penchant.DataError):
        reader.reload(tmp_path / "bad")
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    assert reader.recommend(1, n=9)[0] == wanted[1]


def test_candidates_of_an_approximate_search_are_judged_by_the_reader(fitted, tmp_path):
    hnswlib = pytest.importorskip("hnswlib")
    model = fitted["bpr"]
    kinds = {"kind": ["x" if row % 2 else "y" for row in range(120)]}
    reader = exported(model, tmp_path, item_attributes=kinds, rules=["deny kind x"])
    np.testing.assert_array_equal(reader.user_factors(7), model._core.user_factors[7])
    [path] = penchant.export(model, tmp_path, "hnswlib")
    factors = reader.user_factors(history=[1, 5, 9])
    index = hnswlib.Index(space="ip", dim=len(factors))
    index.load_index(str(path))
    index.set_ef(120)
    [candidates], _ = index.knn_query(factors, k=110)
    found = reader.recommend(history=[1, 5, 9], n=5, allow=candidates.tolist())
    wanted = reader.recommend(history=[1, 5, 9], n=5)
    assert len(set(found[0]) & set(wanted[0])) >= 4
    assert all(item % 2 == 0 for item in found[0])


def test_batches_and_what_they_refuse(fitted, tmp_path):
    reader = exported(fitted["als"], tmp_path)
    answers = reader.recommend([0, 5, 9], n=4, filter_items=[3])
    for user, (ids, scores) in zip([0, 5, 9], answers):
        one, values = reader.recommend(user, n=4, filter_items=[3])
        assert ids == one and scores.tolist() == values.tolist()
    with pytest.raises(ValueError, match="caps are of single queries"):
        exported(fitted["als"], tmp_path, item_attributes={"k": ["x"] * 120}).recommend(
            [1, 2], caps={"k": 1}
        )


def test_bad_requests_teach(fitted, tmp_path):
    reader = exported(fitted["als"], tmp_path, kind="items")
    for ask, error, words in [
        (lambda: reader.recommend(), ValueError, "pass user=, or history="),
        (lambda: reader.recommend(3), ValueError, "no user rows"),
        (lambda: reader.recommend(history=[]), ValueError, "history is empty"),
        (lambda: reader.recommend(history=["x", 9999]), ValueError, "none of the 2 items"),
        (lambda: reader.recommend(history=[1], n=0), ValueError, "must be at least 1; got 0"),
        (lambda: reader.recommend(history="abc"), TypeError, "history must be a list of ids"),
        (lambda: reader.recommend(history=[1.5]), TypeError, "ids are integers or strings"),
        (lambda: reader.similar(777), ValueError, "item 777 is not among the artifact's 120"),
        (lambda: reader.recommend(history=[1], caps={"k": 1}), ValueError, "it has none"),
        (lambda: penchant.Reader("/none"), OSError, "/none"),
        (lambda: fitted["als"].export(tmp_path / "x", dtype="float8"), ValueError, "known are"),
        (lambda: fitted["als"].export(tmp_path / "x", kind="all"), ValueError, "got .all"),
    ]:
        with pytest.raises(error, match=words):
            ask()
    fitted["als"].save(tmp_path / "model")
    with pytest.raises(penchant.DataError, match=r"penchant\.load reads"):
        penchant.Reader(tmp_path / "model")
    with pytest.raises(penchant.DataError, match=r"penchant\.Reader opens"):
        penchant.load(tmp_path / "a.penchant")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[1] / "golden").glob("*.penchant")), ids=lambda p: p.stem
)
def test_artifacts_of_every_version_answer_as_they_did(path):
    reader = penchant.Reader(path, verify=True)
    texts = reader.manifest.get("string_item_ids", False)
    history = ["item 3", "item 8"] if texts else [3, 8]
    found = {
        "known": reader.recommend("user 2" if texts else 2, n=5, context={"country": "SA"}),
        "history": reader.recommend(history=history, n=5, caps={"shelf": 2}),
        "similar": reader.similar(history[0], 5),
    }
    for name, (ids, scores) in json.loads(path.with_suffix(".json").read_text()).items():
        assert found[name][0] == ids
        np.testing.assert_allclose(found[name][1], scores, rtol=1e-4, atol=1e-5)
