"""Segments: users or items grouped by what a model has learned of them."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import sparse

from . import _penchant
from .interactions import Interactions
from .sparse import from_parts, to_parts


@dataclass(frozen=True)
class Segments:
    """A label for every user or item, and what the segments are about.

    An array of its labels, wherever one is wanted: ``evaluate(..., segments=segments)``.

    Attributes
    ----------
    on : {"users", "items"}
    labels : numpy.ndarray
        int32, one a dense row: segments are numbered from the largest, those of a `split` behind.
    names : list[str]
        Of segments, by label: "0", "1"; "1.0" is the first part of segment "1". A segment that was
        split has no rows any more.
    table : list[dict]
        A row a segment that has rows: ``segment`` (its name), ``label``, ``size``, ``share`` and
        ``top_items``, each an ``item`` (its id) with ``share`` and ``lift``. Of users: the share of
        the segment's users who have the item, and how many times that of all users; the items
        listed are those with the largest difference of the two. Of items: the share of users who
        have the item, and how many times likelier those with another item of the segment have it;
        the items listed are those with the most users.
    inertia : float
        Summed squares of the distances to the segments' centers, of vectors of length 1.
    """

    on: str
    labels: np.ndarray
    names: list[str]
    table: list[dict]
    inertia: float
    _model: object = field(repr=False)
    _vectors: np.ndarray = field(repr=False)
    _pairs: sparse.csr_matrix = field(repr=False)
    _top: int = field(repr=False)
    _seed: int = field(repr=False)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.labels, dtype=dtype)

    def __len__(self) -> int:
        return len(self.table)

    def __str__(self) -> str:
        lines = [f"{'segment':>10} {self.on:>9} {'share':>6}  top items (share, lift)"]
        for row in self.table:
            items = ", ".join(
                f"{top['item']} ({top['share']:.0%}, {top['lift']:.1f}x)"
                for top in row["top_items"]
            )
            lines.append(f"{row['segment']:>10} {row['size']:>9,} {row['share']:>6.1%}  {items}")
        return "\n".join(lines)

    def split(self, segment: int | str, k: int = 2) -> Segments:
        """Split a segment (a label or a name) into ``k``: down to one person, where that is wanted.

        Raises
        ------
        ValueError
            When there is no such segment or it has fewer than ``k`` rows.
        """
        label = self.names.index(segment) if segment in self.names else segment
        rows = np.flatnonzero(self.labels == label)
        if not len(rows):
            raise ValueError(
                f"there is no segment {segment!r}; there are "
                f"{[row['segment'] for row in self.table]}"
            )
        if k > len(rows):
            raise ValueError(f"segment {segment!r} has {len(rows)} {self.on}, fewer than k={k}")
        parts = _group(self._model, self._vectors[rows], k, self._seed)
        labels = self.labels.copy()
        labels[rows] = len(self.names) + parts
        names = [*self.names, *(f"{self.names[label]}.{part}" for part in range(k))]
        return _describe(self, labels, names)

    def to_csv(self, path) -> None:
        """Write a line an id: the id and the name of its segment."""
        ids = self._model._ids(self.on, np.arange(len(self.labels), dtype=np.int32))
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([self.on[:-1], "segment"])
            writer.writerows(zip(ids.tolist(), (self.names[label] for label in self.labels)))

    def plot(self, ax=None, rows: int = 5000):
        """Draw the segments over the two main directions of the vectors; returns the axes.

        Needs matplotlib (``pip install penchant[plots]``). At most ``rows`` rows are drawn.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError(
                "Segments.plot draws with matplotlib: pip install 'penchant[plots]'"
            ) from error
        chosen = np.random.default_rng(0).permutation(len(self.labels))[:rows]
        vectors = self._vectors[chosen] - self._vectors[chosen].mean(axis=0)
        _, _, directions = np.linalg.svd(vectors, full_matrices=False)
        places = vectors @ directions[:2].T
        ax = plt.subplots(figsize=(8, 6))[1] if ax is None else ax
        for row in self.table:
            mine = places[self.labels[chosen] == row["label"]]
            if not len(mine):
                continue
            top = row["top_items"][0]["item"] if row["top_items"] else ""
            dots = ax.scatter(*mine.T, s=6, alpha=0.5, label=f"{row['segment']}: {top}")
            ax.annotate(
                row["segment"],
                mine.mean(axis=0),
                weight="bold",
                bbox={"boxstyle": "round", "fc": "white", "ec": dots.get_facecolor()[0]},
            )
        ax.legend(title="segment: first top item", fontsize="small", markerscale=3)
        ax.set_title(f"{len(self.labels):,} {self.on} in {len(self.table)} segments")
        ax.set_xlabel("first main direction")
        ax.set_ylabel("second")
        return ax


def segments(
    model,
    k: int = 8,
    on: str = "users",
    interactions=None,
    top: int = 5,
    random_state: int = 0,
) -> Segments:
    """Group users or items by the directions of their factors.

    k-means of the vectors scaled to length 1 (biases left out): greedy k-means++ starts, Lloyd's
    iterations, or mini-batches where there are more than 16384 rows; on the model's device. The
    same ``random_state`` gives the same segments for any number of threads.

    Parameters
    ----------
    model : fitted estimator
    k : int
        How many segments.
    on : {"users", "items"}
    interactions : Interactions or scipy sparse matrix (users x items), optional
        What tells of the segments in their table; by default what the model was fitted on, when it
        still has it.
    top : int
        Items to list a segment.

    Raises
    ------
    ValueError
        When there are fewer than ``k`` rows.

    Examples
    --------
    >>> import numpy as np
    >>> from penchant import ImplicitALS
    >>> from scipy.sparse import csr_matrix
    >>> likes = csr_matrix(np.kron(np.eye(2), np.ones((6, 4))))  # two tastes
    >>> model = ImplicitALS(factors=4, iterations=3).fit(likes, show_progress=False)
    >>> tastes = segments(model, k=2, top=1)
    >>> [(row["size"], row["top_items"][0]["lift"]) for row in tastes.table]
    [(6, 2.0), (6, 2.0)]
    """
    if on not in ("users", "items"):
        raise ValueError(f'on must be "users" or "items"; got {on!r}')
    model._fitted()
    if interactions is None:
        interactions = model._training_interactions()
        if interactions is None:
            raise ValueError(
                "a loaded model has no interactions to tell of its segments: pass interactions="
            )
    core = interactions._core.user_items() if isinstance(interactions, Interactions) else None
    pairs = from_parts(core if core is not None else to_parts(interactions, "interactions"))
    pairs = (pairs > 0).astype(np.float64).tocsr()
    factors = model.user_factors if on == "users" else model.item_factors
    if pairs.shape != (len(model.user_factors), len(model.item_factors)):
        raise ValueError(
            f"interactions are {pairs.shape[0]} x {pairs.shape[1]}, wanted the model's "
            f"{len(model.user_factors)} x {len(model.item_factors)}"
        )
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    vectors = factors / np.where(lengths > 0, lengths, 1).astype(np.float32)
    labels = _group(model, vectors, k, random_state)
    names = [str(label) for label in range(k)]
    bare = Segments(on, labels, names, [], 0.0, model, vectors, pairs, top, random_state)
    return _describe(bare, labels, names)


def _group(model, vectors: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Labels, from the largest group on."""
    found = _penchant.k_means(model._context(), vectors, k, 200, 16384, seed)
    sizes = np.bincount(found["labels"], minlength=k)
    rank = np.empty(k, dtype=np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(k, dtype=np.int32)
    return rank[found["labels"]]


def _describe(old: Segments, labels: np.ndarray, names: list[str]) -> Segments:
    """Segments with these labels and their table."""
    of_all = np.asarray(old._pairs.mean(axis=0)).ravel()
    describe = _top_items_of_users if old.on == "users" else _top_items_of_items
    table = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        items, shares, lifts = describe(old._pairs, rows, of_all, old._top)
        ids = old._model._ids("items", items).tolist()
        table.append(
            {
                "segment": names[label],
                "label": int(label),
                "size": len(rows),
                "share": len(rows) / len(labels),
                "top_items": [
                    {"item": item, "share": float(share), "lift": float(lift)}
                    for item, share, lift in zip(ids, shares, lifts)
                ],
            }
        )
    inertia = _inertia(old._vectors, labels)
    return replace(old, labels=labels, names=names, table=table, inertia=inertia)


def _top_items_of_users(pairs, users, of_all, top):
    """Items that set these users apart: the largest differences in share."""
    shares = np.asarray(pairs[users].mean(axis=0)).ravel()
    items = np.argsort(of_all - shares, kind="stable")[:top]
    items = items[shares[items] > 0]
    return items, shares[items], shares[items] / of_all[items]


def _top_items_of_items(pairs, items, of_all, top):
    """The items of these with the most users, and how much the others go with them."""
    items = items[np.argsort(-of_all[items], kind="stable")]
    counts = np.asarray(pairs[:, items].sum(axis=1)).ravel()
    items = items[of_all[items] > 0][:top]
    lifts = []
    for item in items:
        has = pairs[:, item].toarray().ravel()
        with_another = counts - has > 0
        lifts.append(has[with_another].mean() / of_all[item] if with_another.any() else 0.0)
    return items, of_all[items], np.array(lifts)


def _inertia(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Summed squared distances to the means of the labels' rows."""
    total = 0.0
    for label in np.unique(labels):
        mine = vectors[labels == label].astype(np.float64)
        total += float(((mine - mine.mean(axis=0)) ** 2).sum())
    return total
