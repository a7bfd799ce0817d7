"""Ready data sets, fetched once, verified by checksum and cached."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ._penchant import DataError
from .interactions import Interactions

# MovieLens-100K may not be redistributed, but the PyPI wheel of RecBole carries it.
_MOVIELENS_WHEEL = "recbole==1.2.1"
_MOVIELENS_MEMBER = "recbole/dataset_example/ml-100k/ml-100k.inter"
_MOVIELENS_SHA256 = "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"


def names() -> list[str]:
    """The data sets `load` knows."""
    return ["movielens-100k"]


def cache_directory() -> Path:
    """Where fetched data is kept: $PENCHANT_CACHE, or penchant below the user's cache folder."""
    if "PENCHANT_CACHE" in os.environ:
        return Path(os.environ["PENCHANT_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "penchant"


def load(name: str, **options) -> Interactions:
    """Load a data set as `Interactions`, with times; ``options`` go to ``Interactions.from_csv``.

    ``"movielens-100k"``: 943 users, 1,682 films, 100,000 ratings 1 to 5 as weights (GroupLens;
    research use). Fetched with pip from PyPI at the first call.

    Raises
    ------
    ValueError
        For an unknown name.
    DataError
        When the fetched file's checksum is wrong.
    OSError
        When it cannot be fetched.
    """
    if name != "movielens-100k":
        raise ValueError(f"unknown data set {name!r}; known are {names()}")
    columns = dict(
        user="user_id:token", item="item_id:token", weight="rating:float", time="timestamp:float"
    )
    columns.update(options)
    return Interactions.from_csv(movielens_100k_path(), delimiter="\t", **columns)


def movielens_100k_path() -> Path:
    """The cached interactions file of MovieLens-100K, fetched if need be."""
    path = cache_directory() / "movielens-100k.inter"
    if path.exists() and _sha256(path.read_bytes()) == _MOVIELENS_SHA256:
        return path
    data = _member_of_wheel(_MOVIELENS_WHEEL, _MOVIELENS_MEMBER)
    if _sha256(data) != _MOVIELENS_SHA256:
        raise DataError(
            f"{_MOVIELENS_MEMBER} of {_MOVIELENS_WHEEL} has SHA-256 {_sha256(data)}, wanted "
            f"{_MOVIELENS_SHA256}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as temporary:
        temporary.write(data)
    os.replace(temporary.name, path)
    return path


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _member_of_wheel(requirement: str, member: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--disable-pip-version-check",
            "--dest",
            folder,
            requirement,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"cannot fetch {requirement} with pip: {done.stderr.strip()}")
        wheel = next(Path(folder).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)
