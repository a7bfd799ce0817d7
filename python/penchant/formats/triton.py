"""A Triton Inference Server model repository: the ONNX model with its config.pbtxt."""

from __future__ import annotations

from pathlib import Path

import onnx

from .onnx import build
from .tables import write_whole

_TYPES = {
    onnx.TensorProto.STRING: "TYPE_STRING",
    onnx.TensorProto.INT64: "TYPE_INT64",
    onnx.TensorProto.FLOAT: "TYPE_FP32",
}


def write(model, path, options) -> None:
    built = build(model, options.dtype)
    name = path.name.removesuffix("_triton")

    def write_repository(temporary: str) -> None:
        version = Path(temporary) / name / "1"
        version.mkdir(parents=True)
        onnx.save(built, str(version / "model.onnx"))
        (version.parent / "config.pbtxt").write_text(_config(name, built))

    write_whole(path, write_repository)


def _config(name: str, built: onnx.ModelProto) -> str:
    # max_batch_size 0: dims are whole shapes, since k has no batch.
    lines = [f'name: "{name}"', 'platform: "onnxruntime_onnx"', "max_batch_size: 0"]
    for kind, values in (("input", built.graph.input), ("output", built.graph.output)):
        for value in values:
            tensor = value.type.tensor_type
            dims = ", ".join(str(d.dim_value or -1) for d in tensor.shape.dim)
            lines.append(
                f'{kind} [ {{ name: "{value.name}" data_type: {_TYPES[tensor.elem_type]} '
                f"dims: [ {dims} ] }} ]"
            )
    return "\n".join(lines) + "\n"
