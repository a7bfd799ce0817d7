"""What every model does: fit, recommend, find similar, fold in, explain, save."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from . import _penchant
from .business_rules import compile_rules
from .config_text import message, quoted
from .interactions import Interactions
from .progress import Progress
from .sparse import to_parts


class FactorModel:
    """What every model does: fit, recommend, similar, fold-in, save.

    Fitted on a scipy matrix, ids are its row and column numbers; fitted on `Interactions`, they
    are the ids of its dictionaries.
    """

    _algorithm = ""  # the oneof field of TrainConfig
    _config_fields: tuple[str, ...] = ()  # parameters that the algorithm's message has

    # -- Parameters (scikit-learn) -------------------------------------------------------------

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict:
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params):
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; known are {known}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    def _config_text(self, **sections: dict) -> str:
        fields = {name: getattr(self, name) for name in self._config_fields}
        sections = {self._algorithm: fields, **sections}
        return (
            " ".join(message(name, body) for name, body in sections.items())
            + f" seed: {int(self.random_state or 0)}"
            + f" device: {quoted(self.device)} num_threads: {int(self.num_threads)}"
        )

    # -- Fitting -------------------------------------------------------------------------------

    def fit(
        self,
        user_items,
        show_progress: bool = True,
        callback=None,
        *,
        warm_start=None,
        validation_fraction: float = 0.0,
        metric: str = "ndcg@20",
        patience: int = 3,
        checkpoint_directory: str | os.PathLike | None = None,
        checkpoint_every: int = 1,
        resume: bool = False,
        compute_loss: bool = False,
        memory_budget: int | str | None = None,
        max_seconds: float | None = None,
    ):
        """Learn from interactions.

        Parameters
        ----------
        user_items : scipy sparse matrix (users x items) or Interactions
        show_progress : bool
            A bar on a terminal, a line per iteration elsewhere, on stderr.
        callback : callable, optional
            ``callback(iteration, seconds)`` after every iteration (``(iteration, seconds, loss)``
            with ``compute_loss``), counted from 0 as implicit does. Return False to stop.
        warm_start : fitted model, optional
            Start from its factors. The interactions must have been read so that its ids come
            first: ``Interactions.from_*`` rows of new ids follow them.
        validation_fraction, metric, patience
            Hold out this share of pairs at random, watch the metric after every iteration, stop
            after ``patience`` iterations without a better value and keep the best iteration.
        checkpoint_directory, checkpoint_every, resume
            Save the state every so many iterations; ``resume=True`` goes on from it and gives the
            same bits as an unbroken run.
        compute_loss : bool
            Evaluate the training objective after every iteration.
        memory_budget : int or str, optional
            Most memory training may take on its device, in bytes or like "12GB"; it refuses to
            start, with the estimate, when it needs more. By default what is available.
        max_seconds : float, optional
            Wall time after which training stops, at the end of the iteration it is in.

        Returns
        -------
        self

        Raises
        ------
        ValueError, DataError, DeviceError, NumericError
        """
        interactions = (
            user_items
            if isinstance(user_items, Interactions)
            else Interactions.from_scipy(user_items)
        )
        sections = {}
        if validation_fraction:
            sections["early_stopping"] = {
                "validation_fraction": validation_fraction,
                "metric": metric,
                "patience": patience,
            }
        if checkpoint_directory is not None:
            directory = os.fspath(checkpoint_directory)
            sections["checkpoint"] = {"directory": directory, "every": checkpoint_every}
        budget = quoted(memory_budget or "")
        config = f"{self._config_text(**sections)} memory_budget: {budget}"
        if max_seconds is not None:
            config += f" max_seconds: {float(max_seconds)}"

        with Progress(type(self).__name__, show_progress) as progress:

            def on_iteration(iteration, total, seconds, loss, validation, checkpointed):
                progress.update(iteration, total, seconds, loss, validation)
                if callback is None:
                    return True
                args = (iteration - 1, seconds) + ((loss,) if loss is not None else ())
                return callback(*args) is not False

            data = _penchant.train(
                self._context(),
                config,
                interactions._core,
                None if warm_start is None else warm_start._core.data,
                resume,
                compute_loss,
                on_iteration,
            )
        self._core = _penchant.Model(data)
        self._interactions = interactions
        return self

    def _context(self):
        key = (self.num_threads, self.device)
        if getattr(self, "_context_key", None) != key:
            self._context_object = _penchant.Context(*key)
            self._context_key = key
        return self._context_object

    def _fitted(self):
        core = getattr(self, "_core", None)
        if core is None:
            raise ValueError(
                f"this {type(self).__name__} is not fitted; call fit() or load() first"
            )
        return core

    def _training_interactions(self):
        return getattr(self, "_interactions", None)

    # -- Attributes ----------------------------------------------------------------------------

    @property
    def user_factors(self) -> np.ndarray:
        """User factors, float32, users x factors. Read-only."""
        return self._fitted().user_factors

    @property
    def item_factors(self) -> np.ndarray:
        """Item factors, float32, items x factors. Read-only."""
        return self._fitted().item_factors

    @property
    def manifest(self) -> dict:
        """What the model says about itself: config, data fingerprint, history, versions."""
        return json.loads(self._fitted().manifest_json())

    # -- Ids -----------------------------------------------------------------------------------

    def _rows(self, side: str, ids, what: str) -> np.ndarray:
        dictionary = getattr(self._fitted(), side)
        rows = dictionary.rows(_as_ids(dictionary, ids, what))
        if (rows < 0).any():
            unknown = np.asarray(ids, dtype=object).reshape(-1)[np.flatnonzero(rows < 0)[0]]
            raise ValueError(
                f"{what} {unknown!r} is not among the model's {len(dictionary):,} {side}; fold new "
                f"ones in with recalculate or partial_fit_{side}"
            )
        return rows

    def _ids(self, side: str, rows: np.ndarray):
        dictionary = getattr(self._fitted(), side)
        flat = dictionary.ids(rows.reshape(-1))
        if dictionary.is_range:
            return rows
        array = np.empty(len(flat), dtype=object if dictionary.is_string else np.int64)
        array[:] = flat
        return array.reshape(rows.shape)

    # -- Recommending --------------------------------------------------------------------------

    def recommend(
        self,
        userid,
        user_items=None,
        N: int = 10,
        filter_already_liked_items: bool = True,
        filter_items=None,
        recalculate_user: bool = False,
        items=None,
    ):
        """The N best items for a user or a batch of users, best first.

        Parameters
        ----------
        userid : id or sequence of ids
        user_items : scipy sparse matrix, optional
            One row per given userid: what those users did. Needed to recalculate; to filter, the
            interactions of ``fit`` serve when it is absent.
        N : int
        filter_already_liked_items : bool
            Leave out the items of ``user_items``.
        filter_items : sequence of ids, optional
            Items never returned.
        recalculate_user : bool
            Use factors computed from ``user_items`` now instead of the stored ones; user ids then
            need not be known to the model.
        items : sequence of ids, optional
            Only these items are considered.

        Returns
        -------
        (ids, scores)
            1-D for one user, 2-D for a batch (rows padded with -1 or None and -inf where fewer
            items are left). Ties go to the smaller item row.
        """
        core = self._fitted()
        single = _is_single(userid)
        count = 1 if single else len(userid)
        parts = None if user_items is None else self._query_parts(user_items, count)
        if recalculate_user:
            if parts is None:
                raise ValueError("recalculate_user=True needs user_items, one row per userid")
            queries = core.fold_in_users(self._context(), parts)
        else:
            rows = self._rows("users", [userid] if single else userid, "userid")
            queries = core.user_factors[rows]
            if parts is None and filter_already_liked_items:
                known = self._training_interactions()
                if known is None:
                    raise ValueError(
                        "filtering needs to know what the users did: pass user_items=, or "
                        "filter_already_liked_items=False"
                    )
                parts = to_parts(known.user_items[rows], "user_items")
        allowed = None if items is None else self._rows("items", list(items), "item in items=")
        ids, scores = core.top_items(
            self._context(),
            queries,
            N,
            parts if filter_already_liked_items else None,
            self._denied("items", filter_items),
            None if allowed is None else np.unique(allowed),
        )
        return self._answer("items", ids, scores, single)

    def similar_items(
        self,
        itemid,
        N: int = 10,
        recalculate_item: bool = False,
        item_users=None,
        filter_items=None,
        items=None,
    ):
        """The N items most like an item or a batch of items, by cosine of their factors.

        As in implicit, an item itself is among its own similar items. Returns ``(ids, scores)``.
        """
        return self._similar("items", itemid, N, recalculate_item, item_users, filter_items, items)

    def similar_users(
        self,
        userid,
        N: int = 10,
        recalculate_user: bool = False,
        user_items=None,
        filter_users=None,
        users=None,
    ):
        """The N users most like a user or a batch of users, by cosine of their factors."""
        return self._similar("users", userid, N, recalculate_user, user_items, filter_users, users)

    def _similar(self, side, query, N, recalculate, matrix, denied, allowed):
        core = self._fitted()
        single = _is_single(query)
        if recalculate:
            if matrix is None:
                raise ValueError("recalculating needs the matrix of interactions, one row per id")
            count = 1 if single else len(query)
            parts = self._query_parts(matrix, count, "items" if side == "users" else "users")
            fold = core.fold_in_users if side == "users" else core.fold_in_items
            queries = fold(self._context(), parts)
        else:
            rows = self._rows(side, [query] if single else query, f"{side[:-1]}id")
            queries = (core.user_factors if side == "users" else core.item_factors)[rows]
        subset = None
        if allowed is not None:
            subset = np.unique(self._rows(side, list(allowed), f"{side[:-1]} in {side}="))
        ids, scores = core.most_similar(
            self._context(), side, queries, N, self._denied(side, denied), subset
        )
        return self._answer(side, ids, scores, single)

    def _query_parts(self, matrix, count: int, columns: str = "items"):
        """Parts of a matrix with one row per query and a column per row of the other side."""
        width = len(getattr(self._fitted(), columns))
        parts = to_parts(matrix, "user_items" if columns == "items" else "item_users")
        if parts[3] != (count, width):
            side = "users" if columns == "items" else "items"
            raise ValueError(
                f"the matrix is {parts[3][0]} x {parts[3][1]}; wanted one row for each of the "
                f"{count} {side} and one column for each of the model's {width} {columns}"
            )
        return parts

    def _denied(self, side: str, ids):
        if ids is None or len(ids) == 0:
            return None
        denied = np.zeros(len(getattr(self._fitted(), side)), dtype=np.uint8)
        denied[self._rows(side, list(ids), f"{side[:-1]} in filter_{side}=")] = 1
        return denied

    def _answer(self, side, rows, scores, single):
        ids = self._ids(side, rows)
        if not single:
            return ids, scores
        found = rows[0] >= 0
        return ids[0][found], scores[0][found]

    # -- New rows ------------------------------------------------------------------------------

    def partial_fit_users(self, userids, user_items):
        """Compute the factors of users from ``user_items`` (one row per userid) and store them.

        Unknown ids are added. Everything else stays as it is.
        """
        return self._partial_fit("users", userids, user_items)

    def partial_fit_items(self, itemids, item_users):
        """Compute the factors of items from ``item_users`` (one row per itemid) and store them."""
        return self._partial_fit("items", itemids, item_users)

    def _partial_fit(self, side, ids, matrix):
        core = self._fitted()
        dictionary = getattr(core, side)
        ids = _as_ids(dictionary, ids, f"{side[:-1]}ids")
        parts = self._query_parts(matrix, len(ids), "items" if side == "users" else "users")
        grown = dictionary.grown(ids)
        fold = core.fold_in_users if side == "users" else core.fold_in_items
        factors = fold(self._context(), parts)
        core.replace(self._context(), side, grown, grown.rows(ids), factors)
        self._interactions = None  # no longer what the model knows
        return self

    # -- Explaining ----------------------------------------------------------------------------

    def explain(self, userid, user_items, itemid, user_weights=None, N: int = 10):
        """Why an item scores as it does for a user: the parts of each of the user's items.

        Parameters
        ----------
        userid : id
        user_items : scipy sparse matrix
            One row with what the user did (or the whole training matrix, whose row is taken).
        itemid : id
        user_weights : ignored
            Accepted for implicit's sake.
        N : int
            How many contributions to return, largest first.

        Returns
        -------
        (total_score, contributions, user_weights)
            ``contributions`` is a list of (item id, part); over all items the parts sum to
            ``total_score``, the score of the folded-in user.
        """
        core = self._fitted()
        matrix = user_items
        if matrix.shape[0] != 1:
            matrix = matrix[self._rows("users", [userid], "userid")[0]]
        parts = self._query_parts(matrix, 1)
        item = int(self._rows("items", [itemid], "itemid")[0])
        shares = np.asarray(core.explain(self._context(), parts, item))
        order = np.argsort(-shares, kind="stable")[:N]
        ids = self._ids("items", parts[1][order])
        contributions = [
            (i.item() if hasattr(i, "item") else i, float(s)) for i, s in zip(ids, shares[order])
        ]
        return float(shares.sum()), contributions, user_weights

    # -- Keeping -------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the model as one safetensors file (FORMATS.md), atomically."""
        self._fitted().save(os.fspath(path))

    def export(
        self,
        path: str | os.PathLike,
        dtype: str = "float32",
        kind: str = "full",
        since: str | os.PathLike | None = None,
        *,
        item_attributes: Mapping[str, Mapping | Sequence] | None = None,
        rules: Sequence[str] = (),
    ) -> None:
        """Write the model as one compact artifact for serving (FORMATS.md), atomically.

        `penchant.Reader` and the C library `libpenchant_reader` open it. Equal models give equal
        bytes.

        Parameters
        ----------
        path : str or PathLike
        dtype : {"float32", "float16", "bfloat16", "int8", "int4", "pq"}
            Number type of the factors. ``docs/EXPORT.md`` tells what each costs in quality.
        kind : {"full", "items", "users"}
            "items" holds no user row at all: whoever has a history folds it in locally.
        since : str or PathLike, optional
            An earlier artifact: write only what turns it into the new one (`apply_delta`).
        item_attributes : mapping, optional
            By name, the values of items, for caps and rules: a mapping of item id to value, or one
            value an item row (None: no value). Values are compared as text.
        rules : sequence of str, optional
            Business rules, compiled into the artifact: ``if country == "SA" then deny category
            "wine"``, ``only category ["tea", "coffee"]``.

        Raises
        ------
        ValueError
            For unknown dtypes, kinds and attributes, rules that cannot be read, and factors that
            do not fit float16.
        """
        core = self._fitted()
        attributes = {
            name: _attribute_codes(name, values, core.items)
            for name, values in (item_attributes or {}).items()
        }
        _penchant.export_model(
            self._context(),
            core.data,
            os.fspath(path),
            dtype,
            kind,
            "" if since is None else os.fspath(since),
            {name: codes for name, (codes, _) in attributes.items()},
            compile_rules(rules, attributes),
        )

    @classmethod
    def load(cls, path: str | os.PathLike):
        """Read a model written by `save`. Raises DataError when the file is damaged or newer."""
        from .estimators import load

        model = load(path)
        if not isinstance(model, cls):
            raise ValueError(f"{path} holds a {type(model).__name__}, not a {cls.__name__}")
        return model


def _attribute_codes(name: str, values, items) -> tuple[np.ndarray, dict[str, int]]:
    """Codes of an attribute by item row, -1 where there is no value, and the code of each value."""
    count = len(items)
    by_row: list = [None] * count
    if isinstance(values, Mapping):
        ids = list(values)
        for row, item in zip(items.rows(_as_ids(items, ids, f"attribute {name!r}")), ids):
            if row >= 0:  # an item that nobody had is in no table
                by_row[row] = values[item]
    else:
        by_row = list(values)
        if len(by_row) != count:
            raise ValueError(
                f"attribute {name!r} has {len(by_row)} values for {count} items; wanted one an "
                "item row, or a mapping of item id to value"
            )
    names: dict[str, int] = {}
    codes = [-1 if value is None else names.setdefault(str(value), len(names)) for value in by_row]
    return np.array(codes, dtype=np.int32).reshape(-1), names


def _is_single(ids) -> bool:
    return isinstance(ids, (str, bytes)) or np.ndim(ids) == 0


def _as_ids(dictionary, ids, what: str):
    """A list of strings or an int64 array, as the dictionary needs."""
    if dictionary.is_string:
        values = [ids] if isinstance(ids, str) else list(ids)
        for value in values:
            if not isinstance(value, str):
                raise TypeError(f"{what}: this model's ids are strings; got {value!r}")
        return values
    array = np.atleast_1d(np.asarray(ids))
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{what}: this model's ids are integers; got {array.reshape(-1)[0]!r}")
    return array.astype(np.int64)
