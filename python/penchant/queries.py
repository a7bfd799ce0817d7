"""What a fitted model answers: recommendations, neighbours, explanations."""

from __future__ import annotations

import numpy as np

from .ids import as_ids, is_single
from .sparse import to_parts


class Queries:
    """The questions of `FactorModel`; it supplies `_fitted`, `_context` and what it trained on."""

    # -- Ids -----------------------------------------------------------------------------------

    def _rows(self, side: str, ids, what: str) -> np.ndarray:
        dictionary = getattr(self._fitted(), side)
        rows = dictionary.rows(as_ids(dictionary, ids, what))
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
        single = is_single(userid)
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
        single = is_single(query)
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
