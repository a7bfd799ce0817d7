"""Models in the formats that serving systems load, each written with the format's own library.

A format is a module here with ``write(model, path, options)``, a line in `FORMATS`, a section in
FORMATS.md and a test that opens the file with the format's own reader.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What can be asked of formats; each takes what it has a use for.

    Parameters
    ----------
    dtype : str
        Number type of the factors.
    top_n : int
        Items a user, for formats that hold lists.
    seen : Interactions, optional
        Lists leave out what its users have.
    ann : bool
        Approximate search where the format has it (faiss): HNSW instead of all items.
    kind, since
        Of the artifact, as `FactorModel.export` takes them.
    """

    dtype: str = "float32"
    top_n: int = 100
    seen: object = None
    ann: bool = False
    kind: str = "full"
    since: str | os.PathLike | None = None


@dataclass(frozen=True)
class Format:
    """A row of the table: the module, what it writes under the model's name, what it needs."""

    module: str
    suffix: str
    requires: str | None
    dtypes: tuple[str, ...] = ("float32",)


_HALVES = ("float32", "float16")
_ALL = ("float32", "float16", "bfloat16", "int8", "int4", "pq")
FORMATS = {
    "artifact": Format("artifact", ".penchant", None, _ALL),
    "onnx": Format("onnx", ".onnx", "onnx", _HALVES),
    "triton": Format("triton", "_triton", "onnx", _HALVES),
    "faiss": Format("faiss", ".faiss", "faiss-cpu", _HALVES),
    "hnswlib": Format("hnswlib", ".hnsw", "hnswlib"),
    "parquet": Format("arrow", "_parquet", None, _HALVES),
    "arrow": Format("arrow", "_arrow", None, _HALVES),
    "safetensors": Format("safetensors", ".safetensors", "safetensors", _HALVES),
    "npy": Format("npy", "_npy", None, _HALVES),
    "word2vec": Format("word2vec", ".vec", "gensim"),
    "word2vec-binary": Format("word2vec", ".vec.bin", "gensim"),
    "redis": Format("redis", ".resp", "redis"),
    "sqlite": Format("sql", ".sqlite", None),
    "duckdb": Format("sql", ".duckdb", "duckdb"),
}


def export(
    model,
    folder: str | os.PathLike,
    to: str | Sequence[str],
    *,
    name: str = "model",
    dtype: str = "float32",
    top_n: int = 100,
    seen=None,
    ann: bool = False,
    kind: str = "full",
    since: str | os.PathLike | None = None,
) -> list[Path]:
    """Write a model in one or more formats.

    Parameters
    ----------
    model : fitted model
    folder : str or PathLike
        Made where it is absent.
    to : str or sequence of str
        Of `FORMATS`: artifact, onnx, triton, faiss, hnswlib, parquet, arrow, safetensors, npy,
        word2vec, word2vec-binary, redis, sqlite, duckdb.
    name : str
        What the files' names begin with.
    dtype : str
        Number type of the factors: "float32" everywhere, "float16" where FORMATS.md says so, and
        all six of `model.export` for "artifact".
    top_n : int
        Items a user, for redis, sqlite and duckdb.
    seen : Interactions, optional
        For those: leave out what users have. By default what the model was fitted on in this
        process; a loaded model needs it.
    ann : bool
        For faiss: an HNSW graph instead of a search through all items.
    kind, since
        For the artifact, as the model's own ``export`` takes them.

    Returns
    -------
    list of Path
        What was written, in the order of ``to``.

    Raises
    ------
    ValueError
        For unknown formats and dtypes that a format has not; before anything is written.
    ImportError
        Naming what to install.
    """
    names = [to] if isinstance(to, str) else list(to)
    for each in names:
        if each not in FORMATS:
            raise ValueError(f"format {each!r} is unknown; known are {', '.join(FORMATS)}")
        if dtype not in FORMATS[each].dtypes:
            raise ValueError(
                f"format {each!r} has no dtype {dtype!r}; it has {', '.join(FORMATS[each].dtypes)}"
            )
    writers = {each: _writer(each) for each in names}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(dtype, top_n, seen, ann, kind, since)
    written = []
    for each in names:
        path = folder / f"{name}{FORMATS[each].suffix}"
        writers[each](model, path, options)
        written.append(path)
    return written


def _writer(name: str):
    entry = FORMATS[name]
    try:
        return importlib.import_module(f"{__name__}.{entry.module}").write
    except ImportError as error:
        raise ImportError(
            f"exporting to {name} needs {entry.requires}: pip install {entry.requires}"
        ) from error
