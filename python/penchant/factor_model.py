"""What every model does: fit, answer (queries.py), take in new rows, save."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Mapping, Sequence

import numpy as np

from . import _penchant
from .business_rules import attribute_codes, compile_rules
from .config_text import message, quoted
from .ids import as_ids
from .interactions import Interactions
from .progress import Progress
from .queries import Queries


class FactorModel(Queries):
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
            Wall time after which training stops: ALS at the end of the iteration it is in, models
            trained by sampling at the end of a quarter of an epoch, from which ``resume`` goes on.

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
        ids = as_ids(dictionary, ids, f"{side[:-1]}ids")
        parts = self._query_parts(matrix, len(ids), "items" if side == "users" else "users")
        grown = dictionary.grown(ids)
        fold = core.fold_in_users if side == "users" else core.fold_in_items
        factors = fold(self._context(), parts)
        core.replace(self._context(), side, grown, grown.rows(ids), factors)
        self._interactions = None  # no longer what the model knows
        return self

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
            name: attribute_codes(name, values, core.items)
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
