"""ONNX: from user ids to the best item ids and their scores.

Inputs ``user`` (ids, [batch]) and ``k`` (int64, [1]); outputs ``item`` (ids, [batch, k]) and
``score`` (float32, [batch, k]). Users that the model does not know get the scores of a user without
tastes: the items' biases, or zeros.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .tables import tables_of, write_whole


def build(model, dtype: str) -> onnx.ModelProto:
    tables = tables_of(model, dtype)
    id_types = {
        side: TensorProto.STRING if ids.dtype == object else TensorProto.INT64
        for side, ids in (("user", tables.user_ids), ("item", tables.item_ids))
    }
    unknown = np.zeros((1, tables.factors), dtype=dtype)
    unknown[0, -1] = 1 if model._core.has_biases else 0
    texts = id_types["user"] == TensorProto.STRING
    keys = {"keys_strings" if texts else "keys_int64s": tables.user_ids.tolist()}
    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["user"],
            ["row"],
            domain="ai.onnx.ml",
            values_int64s=list(range(len(tables.user_ids))),
            default_int64=len(tables.user_ids),
            **keys,
        ),
        helper.make_node("Gather", ["user_factors", "row"], ["taste"]),
        helper.make_node("Cast", ["taste"], ["taste_float"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["item_factors"], ["items_float"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["taste_float", "items_float"], ["scores"]),
        helper.make_node("TopK", ["scores", "k"], ["score", "found"]),
        helper.make_node("Gather", ["item_ids", "found"], ["item"]),
    ]
    initializers = [
        numpy_helper.from_array(np.vstack([tables.users, unknown]), "user_factors"),
        numpy_helper.from_array(np.ascontiguousarray(tables.items.T), "item_factors"),
        numpy_helper.from_array(tables.item_ids, "item_ids"),
    ]
    graph = helper.make_graph(
        nodes,
        "penchant",
        [
            helper.make_tensor_value_info("user", id_types["user"], ["batch"]),
            helper.make_tensor_value_info("k", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("item", id_types["item"], ["batch", "n"]),
            helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", "n"]),
        ],
        initializers,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    built = helper.make_model(graph, opset_imports=opsets, producer_name="penchant", ir_version=8)
    onnx.checker.check_model(built)
    return built


def write(model, path, options) -> None:
    built = build(model, options.dtype)
    write_whole(path, lambda temporary: onnx.save(built, temporary))
