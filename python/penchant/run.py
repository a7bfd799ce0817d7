"""A training run described by a config file: read, split, train, judge, save."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from . import _penchant, datasets
from .estimators import wrap
from .evaluation import Evaluation, evaluate
from .factor_model import FactorModel
from .interactions import Interactions


@dataclass
class Run:
    """A parsed config and the folder that its relative paths start from."""

    text: str
    folder: Path
    report: dict = field(default_factory=dict)  # of the last reading of `data`

    @classmethod
    def from_file(cls, path: str | os.PathLike, overrides=()) -> Run:
        """Parse a text-proto file. DataError names line and column of what is wrong."""
        path = Path(path)
        text = _penchant.parse_config(path.read_text(), os.fspath(path), list(overrides))
        _penchant.validate_config(text)
        return cls(text, path.parent)

    @property
    def fields(self) -> dict:
        return _penchant.config_fields(self.text)

    def _path(self, path: str) -> str:
        return os.fspath(self.folder / path)

    def read(self, path: str, like=None, grow=None) -> Interactions:
        """Interactions of a file, with the config's columns."""
        fields = self.fields
        columns = dict(
            user=fields["user"],
            item=fields["item"],
            weight=fields["weight"] or None,
            time=fields["time"] or None,
            duplicates=fields["duplicates"],
            max_bad_rows=fields["max_bad_rows"],
            like=like,
            grow=grow,
        )
        reader = Interactions.from_csv if path.endswith(".csv") else Interactions.from_parquet
        return reader(self._path(path), **columns)

    def data(self, grow=None) -> tuple[Interactions, Interactions | None]:
        """Training interactions and test interactions (None when the config has no test).

        ``grow`` is a model whose ids keep their rows (for a warm start).
        """
        fields = self.fields
        if fields["dataset"] and fields["path"]:
            raise ValueError("data has both a path and a dataset; give one")
        if fields["dataset"]:
            interactions = datasets.load(
                fields["dataset"], duplicates=fields["duplicates"], grow=grow
            )
        elif fields["path"]:
            interactions = self.read(fields["path"], grow=grow)
        else:
            raise ValueError("the config says no data: set data.path or data.dataset")
        self.report = interactions.report
        if fields["test_path"]:
            return interactions, self.read(fields["test_path"], like=interactions)
        split = fields["split"]
        if split == "time":
            return interactions.split_by_time(fields["test_fraction"])
        if split == "last":
            return interactions.split_last()
        if split == "random":
            return interactions.split_random(fields["test_fraction"], fields["seed"])
        return interactions, None

    @property
    def output(self) -> str | None:
        return self._path(self.fields["output"]) if self.fields["output"] else None

    def train(
        self,
        interactions: Interactions,
        resume: bool = False,
        warm_start=None,
        on_iteration=None,
        compute_loss: bool = False,
    ) -> FactorModel:
        """Train on the interactions as the config says."""
        fields = self.fields
        text = self.text
        if fields["checkpoint_directory"]:
            directory = self._path(fields["checkpoint_directory"])
            text = _penchant.parse_config(text, "config", [f"checkpoint.directory={directory}"])
        context = _penchant.Context(fields["num_threads"], fields["device"])
        data = _penchant.train(
            context,
            text,
            interactions._core,
            None if warm_start is None else warm_start._core.data,
            resume,
            compute_loss,
            on_iteration,
        )
        model = wrap(_penchant.Model(data))
        model.num_threads = fields["num_threads"]
        model._interactions = interactions
        return model

    def evaluate(self, model: FactorModel, test: Interactions, train=None) -> Evaluation:
        return evaluate(model, test, train, k=self.fields["k"] or [10, 20])
