"""The estimators: implicit's manners, exact answers, clear refusals."""

from __future__ import annotations

import inspect
import json
import re
import time
from pathlib import Path

import numpy as np
import penchant
import penchant.sparse
import pyarrow as pa
import pytest
from penchant import ImplicitALS, Interactions, Item2Vec, Popularity, RankingMF
from scipy import sparse

ESTIMATORS = [
    lambda: ImplicitALS(factors=8, iterations=4),
    lambda: RankingMF(factors=8, epochs=5, negative_samples=8, deterministic=True),
    lambda: RankingMF("ccl", factors=8, epochs=5, negative_samples=8, deterministic=True),
    lambda: Item2Vec(factors=8, epochs=5, deterministic=True),
    Popularity,
]


@pytest.fixture(params=ESTIMATORS)
def fitted(request, likes):
    return request.param().fit(likes, show_progress=False)


# -- What every model does ----------------------------------------------------------------------


def test_recommend_is_sorted_and_filtered(fitted, likes):
    ids, scores = fitted.recommend(3, likes[3], N=7)
    assert ids.shape == scores.shape == (7,)
    assert (np.diff(scores) <= 0).all()
    assert not set(ids.tolist()) & set(likes[3].indices.tolist())


def test_a_batch_equals_its_users_one_by_one(fitted, likes):
    users = [5, 1, 299]
    ids, scores = fitted.recommend(users, likes[users], N=6)
    assert ids.shape == (3, 6)
    for row, user in enumerate(users):
        one_ids, one_scores = fitted.recommend(user, likes[user], N=6)
        np.testing.assert_array_equal(ids[row], one_ids)
        np.testing.assert_array_equal(scores[row], one_scores)


def test_lists_match_brute_force(fitted, likes, scores_of):
    scores = scores_of(fitted)
    scores[likes.toarray() != 0] = -np.inf
    got = fitted.recommend(np.arange(300), likes, N=10)[1]
    for user in range(300):
        best = np.sort(scores[user])[::-1][:10]
        np.testing.assert_allclose(got[user], best, rtol=2e-5, atol=1e-6)


def test_filters_and_allow_lists(fitted, likes):
    ids, _ = fitted.recommend(0, likes[0], N=120, filter_items=[4, 5, 6])
    assert not {4, 5, 6} & set(ids.tolist())
    ids, _ = fitted.recommend(0, likes[0], N=5, items=[1, 2, 3], filter_already_liked_items=False)
    assert sorted(ids.tolist()) == [1, 2, 3]  # shorter than N: what is left
    ids, scores = fitted.recommend(
        [0, 1], likes[[0, 1]], N=5, items=[1, 2, 3], filter_already_liked_items=False
    )
    assert ids.shape == (2, 5) and (ids[:, 3:] == -1).all() and np.isneginf(scores[:, 3:]).all()


def test_an_empty_allow_list_allows_nothing(fitted, likes):
    ids, scores = fitted.recommend(0, likes[0], N=5, items=[])
    assert len(ids) == len(scores) == 0


def test_ids_survive_the_round_trip(likes):
    coo = likes.tocoo()
    table = pa.table(
        {"user": [f"u{r}" for r in coo.row], "item": (coo.col * 1000 + 7).tolist(), "w": coo.data}
    )
    data = Interactions.from_arrow(table, weight="w")
    model = ImplicitALS(factors=8, iterations=3).fit(data, show_progress=False)
    ids, _ = model.recommend("u5", N=4)
    assert all(i % 1000 == 7 for i in ids)
    users, _ = model.similar_users("u5", N=3)
    assert users[0] == "u5" and all(u.startswith("u") for u in users)
    with pytest.raises(ValueError, match="'nobody' is not among"):
        model.recommend("nobody")
    with pytest.raises(TypeError, match="strings"):
        model.recommend(5)


def test_save_and_load(fitted, likes, tmp_path):
    path = tmp_path / "m.safetensors"
    fitted.save(path)
    again = penchant.load(path)
    assert type(again) is type(fitted)
    assert type(fitted).load(path).get_params() == again.get_params()
    np.testing.assert_array_equal(again.item_factors, fitted.item_factors)
    one, two = fitted.recommend(2, likes[2]), again.recommend(2, likes[2])
    np.testing.assert_array_equal(one[0], two[0])
    np.testing.assert_array_equal(one[1], two[1])
    with pytest.raises(ValueError, match="pass user_items="):
        again.recommend(2)


def test_a_foreign_reader_opens_the_model(fitted, tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file
    from xxhash import xxh3_64_hexdigest

    path = tmp_path / "m.safetensors"
    fitted.save(path)
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors["user_factors"], fitted._core.user_factors)
    np.testing.assert_array_equal(tensors["item_factors"], fitted._core.item_factors)
    with safe_open(path, "np") as file:
        manifest = json.loads(file.metadata()["penchant.manifest"])
    assert manifest["algorithm"] == fitted._algorithm
    for entry in manifest["checksums"]:
        assert xxh3_64_hexdigest(tensors[entry["name"]].tobytes()) == entry["xxh3"]


def test_damaged_files_are_refused(fitted, tmp_path):
    path = tmp_path / "m.safetensors"
    fitted.save(path)
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(penchant.DataError, match="damaged"):
        penchant.load(path)
    path.write_bytes(data[:100])
    with pytest.raises(penchant.DataError):
        penchant.load(path)
    with pytest.raises(OSError, match="No such file"):
        penchant.load(tmp_path / "absent")


def test_sklearn_manners(fitted):
    params = fitted.get_params()
    twin = type(fitted)(**params)
    assert twin.get_params() == params
    assert twin.set_params(random_state=3).random_state == 3
    with pytest.raises(ValueError, match="no parameter 'factor'"):
        twin.set_params(factor=3)
    with pytest.raises(ValueError, match="not fitted"):
        twin.recommend(0)


def test_wrong_shapes_say_which_side(fitted, likes):
    with pytest.raises(ValueError, match="one row for each of the 1 users"):
        fitted.recommend(0, likes[:2])
    with pytest.raises(ValueError, match="120 items"):
        fitted.recommend(0, likes.T.tocsr()[0])
    with pytest.raises(ValueError, match="N must be at least 1"):
        fitted.recommend(0, likes[0], N=0)


def test_partial_fit_adds_users_and_items(fitted, likes, scores_of):
    model = type(fitted)(**fitted.get_params()).fit(likes, show_progress=False)
    before = model.user_factors[7].copy()
    model.partial_fit_users([7, 300], sparse.vstack([likes[0], likes[1]]).tocsr())
    assert model.user_factors.shape[0] == 301
    np.testing.assert_allclose(
        scores_of(model)[300, 5],
        (model.recommend(300, likes[1], N=1, items=[5], filter_already_liked_items=False)[1][0]),
        rtol=1e-5,
    )
    assert isinstance(fitted, Popularity) or not np.array_equal(before, model.user_factors[7])
    item_users = likes.T.tocsr()
    grown = sparse.hstack([item_users[:1], sparse.csr_matrix((1, 1))]).tocsr()
    model.partial_fit_items([120], grown)
    assert model.item_factors.shape[0] == 121


# -- ALS ----------------------------------------------------------------------------------------


def test_fold_in_is_the_exact_minimum(model, likes):
    users = model._core.fold_in_users(model._context(), penchant.sparse.to_parts(likes[:5], "x"))
    items = model.item_factors.astype(np.float64)
    w0 = model.unobserved_weight_
    for u in range(5):
        row = likes[u]
        lam = model.regularization_ * (row.nnz + w0 * 120) ** model.regularization_power
        a = w0 * items.T @ items + lam * np.eye(16)
        y = items[row.indices]
        a += (y.T * (model.alpha_ * row.data)) @ y
        wanted = np.linalg.solve(a, ((w0 + model.alpha_ * row.data)[:, None] * y).sum(0))
        np.testing.assert_allclose(users[u], wanted, rtol=1e-4, atol=1e-5)


def test_refitted_items_are_what_they_were(model, likes):
    """Items are solved last, so folding one in again gives its stored factors."""
    item_users = likes.T.tocsr()
    again = model._core.fold_in_items(model._context(), penchant.sparse.to_parts(item_users, "x"))
    np.testing.assert_allclose(again, model.item_factors, atol=2e-4)


def test_recalculate_user_needs_no_known_user(model, likes):
    ids, _ = model.recommend(10**9, likes[3], recalculate_user=True, N=5)
    assert len(ids) == 5
    assert sum(i % 3 == 0 for i in ids) >= 4  # user 3 is of the group that likes these
    with pytest.raises(ValueError, match="needs user_items"):
        model.recommend(0, recalculate_user=True)


def test_similar_items_and_users(model):
    ids, scores = model.similar_items(9, N=5)
    assert ids[0] == 9 and abs(scores[0] - 1) < 1e-5
    assert sum(i % 3 == 0 for i in ids) >= 4
    norms = np.linalg.norm(model.item_factors, axis=1)
    cosine = model.item_factors @ model.item_factors[9] / norms / norms[9]
    np.testing.assert_allclose(scores, np.sort(cosine)[::-1][:5], rtol=1e-4)
    users, _ = model.similar_users([4, 5], N=3)
    assert users[:, 0].tolist() == [4, 5]
    ids, _ = model.similar_items(9, N=3, items=[1, 2], filter_items=[2])
    assert ids.tolist() == [1]


def test_explain_parts_sum_to_the_score(model, likes):
    total, parts, _ = model.explain(3, likes, 9, N=1000)
    assert abs(sum(part for _, part in parts) - total) < 1e-5
    _, scores = model.recommend(
        3, likes[3], recalculate_user=True, items=[9], filter_already_liked_items=False
    )
    assert abs(total - float(scores[0])) < 1e-5
    assert [p for _, p in parts] == sorted((p for _, p in parts), reverse=True)
    assert len(model.explain(3, likes[3], 9, N=2)[1]) == 2


def test_threads_do_not_change_the_model(likes):
    one = ImplicitALS(factors=12, iterations=3, num_threads=1).fit(likes, show_progress=False)
    two = ImplicitALS(factors=12, iterations=3, num_threads=3).fit(likes, show_progress=False)
    np.testing.assert_array_equal(one.item_factors, two.item_factors)


def test_the_peer_agrees_on_its_own_objective(likes):
    """unobserved_weight 1, power 0 is implicit's objective; an independent dense ALS agrees."""
    model = ImplicitALS(
        factors=4,
        regularization=0.5,
        alpha=2.0,
        unobserved_weight=1.0,
        regularization_power=0.0,
        iterations=500,
    ).fit(likes, show_progress=False, compute_loss=True)
    r = likes.toarray().astype(float)
    confidence, preference = 1 + 2.0 * r, (r > 0).astype(float)
    users, items = model.user_factors.astype(float), model.item_factors.astype(float)
    # Half the gradient of sum c (p - x.y)^2 + 0.5 |x|^2 + 0.5 |y|^2 vanishes on both sides.
    residual = confidence * (preference - users @ items.T)
    assert np.abs(0.5 * items - residual.T @ users).max() < 1e-3  # the items were solved last
    assert np.abs(0.5 * users - residual @ items).max() < 0.05


def test_negative_weights_are_dislikes(likes):
    disliked = likes.copy()
    disliked[3, 0] = -5.0
    base = ImplicitALS(factors=8, iterations=5).fit(likes, show_progress=False)
    model = ImplicitALS(factors=8, iterations=5).fit(disliked, show_progress=False)
    score = lambda m: float(m.user_factors[3] @ m.item_factors[0])  # noqa: E731
    assert score(model) < score(base)


def test_callbacks_stop_and_count(likes):
    seen = []
    model = ImplicitALS(factors=4, iterations=9)
    model.fit(
        likes,
        show_progress=False,
        compute_loss=True,
        callback=lambda i, s, loss: seen.append((i, loss)) or i < 2,
    )
    assert [i for i, _ in seen] == [0, 1, 2]
    assert [loss for _, loss in seen] == sorted((loss for _, loss in seen), reverse=True)
    assert model.manifest["iterations_done"] == 3


def test_an_exception_in_a_callback_comes_through(likes):
    def fail(i, seconds):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ImplicitALS(factors=4).fit(likes, show_progress=False, callback=fail)


def test_early_stopping_keeps_the_best(likes):
    model = ImplicitALS(factors=32, iterations=60, regularization=1e-4)
    model.fit(likes, show_progress=False, validation_fraction=0.2, patience=2)
    history = model.manifest["history"]
    assert len(history) < 60
    best = max(history, key=lambda record: record["validation"])
    assert model.manifest["best_iteration"] == best["iteration"]


def test_warm_start_goes_on(likes):
    whole = ImplicitALS(factors=6, iterations=4).fit(likes, show_progress=False)
    first = ImplicitALS(factors=6, iterations=3).fit(likes, show_progress=False)
    second = ImplicitALS(factors=6, iterations=1).fit(likes, show_progress=False, warm_start=first)
    np.testing.assert_allclose(
        whole.user_factors @ whole.item_factors.T,
        second.user_factors @ second.item_factors.T,
        atol=1e-3,
    )


def test_bad_parameters_are_named(likes):
    for name, value in [
        ("factors", 0),
        ("regularization", 0),
        ("alpha", -1),
        ("iterations", 0),
        ("dtype", "float16"),
        ("unobserved_weight", -1),
        ("num_threads", -1),
    ]:
        with pytest.raises(ValueError, match=name):
            ImplicitALS(**{name: value}).fit(likes, show_progress=False)
    with pytest.raises(penchant.DeviceError, match="cannot be used"):
        ImplicitALS(device="cuda:99").fit(likes, show_progress=False)
    with pytest.raises(ValueError, match="device must be"):
        ImplicitALS(device="tpu").fit(likes, show_progress=False)


def test_memory_is_estimated_and_a_budget_holds(likes):
    estimate = penchant.estimate_memory(ImplicitALS(factors=64), Interactions.from_scipy(likes))
    assert estimate.parts["user factors"] == 300 * 64 * 4
    assert estimate.fits and "total" in str(estimate)
    assert estimate.least == estimate.total
    large = penchant.estimate_memory(
        ImplicitALS(factors=64), num_users=10**6, num_items=10**5, nnz=10**9, device="cuda"
    )
    assert large.total > 16e9 and large.least < 4e9 and "in blocks" in str(large)
    rounded = penchant.estimate_memory(
        ImplicitALS(factors=64, dtype="bfloat16"),
        num_users=10**6,
        num_items=10**5,
        nnz=10**9,
        device="cuda",
    )
    assert rounded.total - large.total == 10**6 * 64 * 2
    with pytest.raises(penchant.DeviceError, match="memory_budget"):
        ImplicitALS(factors=64).fit(likes, show_progress=False, memory_budget=1000)


def test_training_stops_when_its_time_is_over(likes, tmp_path):
    seen = []
    make = lambda: RankingMF(factors=8, epochs=8, deterministic=True)  # noqa: E731
    cut = make().fit(
        likes,
        False,
        lambda iteration, _: seen.append(iteration) or time.sleep(0.05),
        max_seconds=0.08,
        checkpoint_directory=tmp_path,
        checkpoint_every=100,
    )
    assert 1 <= len(seen) < 8
    assert cut.manifest["iterations_done"] == len(seen)
    within = make().fit(likes, show_progress=False, max_seconds=1e-9)
    assert within.manifest["parts_done"] == 1 and np.isfinite(within.item_factors).all()
    resumed = make().fit(likes, show_progress=False, checkpoint_directory=tmp_path, resume=True)
    whole = make().fit(likes, show_progress=False)
    np.testing.assert_array_equal(resumed.item_factors, whole.item_factors)
    with pytest.raises(ValueError, match="max_seconds must be >= 0"):
        make().fit(likes, show_progress=False, max_seconds=-1)


@pytest.mark.parametrize(
    "estimator, message, left_to_the_data",
    [
        (ImplicitALS, "AlsConfig", {"regularization", "alpha", "unobserved_weight"}),
        (
            RankingMF,
            "RankingConfig",
            {"epochs", "learning_rate", "regularization", "negative_samples", "batch_size"}
            | {"margin", "negative_weight", "dropout"},
        ),
        (Item2Vec, "Item2VecConfig", set()),
    ],
)
def test_defaults_are_those_of_the_config(estimator, message, left_to_the_data):
    proto = (Path(__file__).parents[2] / "configs" / "train_config.proto").read_text()
    body = proto[proto.index(f"message {message}") :]
    body = body[: body.index("\n}")]
    defaults = dict(re.findall(r"optional \w+ (\w+) = \d+ \[default = ([^\]]+)\]", body))
    signature = inspect.signature(estimator.__init__).parameters
    for name, default in defaults.items():
        assert json.loads(default) == signature[name].default, name
    assert set(estimator._config_fields) == set(defaults) | left_to_the_data
    assert all(signature[name].default is None for name in left_to_the_data)


def test_defaults_do_not_depend_on_the_unit_of_the_weights(likes):
    one = ImplicitALS(factors=8, iterations=3).fit(likes, show_progress=False)
    scaled = ImplicitALS(factors=8, iterations=3).fit(likes * 8, show_progress=False)
    assert one.alpha_ == pytest.approx(8 * scaled.alpha_)
    assert one.unobserved_weight_ == pytest.approx(scaled.unobserved_weight_)
    np.testing.assert_allclose(one.item_factors, scaled.item_factors, atol=1e-4)


def test_models_of_released_versions_still_open():
    model = penchant.load(Path(__file__).parents[1] / "golden" / "als-v1.safetensors")
    assert model.user_factors.shape == (20, 4) and model.item_factors.shape == (15, 4)
    ids, scores = model.recommend("user-3", N=3, filter_already_liked_items=False)
    best = np.argsort(
        -(model.user_factors[model._core.users.rows(["user-3"])] @ model.item_factors.T)
    )
    np.testing.assert_array_equal(ids, model._core.items.ids(best[0, :3].astype(np.int32)))
    assert (np.diff(scores) <= 0).all()


def test_more_than_a_thousand_factors(likes):
    model = ImplicitALS(factors=1030, iterations=2).fit(likes, show_progress=False)
    assert np.isfinite(model.user_factors).all()
    scores = model.user_factors @ model.item_factors.T
    assert scores[likes.toarray() > 0].mean() > 5 * scores[likes.toarray() == 0].mean()
