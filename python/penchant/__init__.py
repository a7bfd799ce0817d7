"""Penchant: exact, fast factorization models for personalization.

>>> import numpy as np, penchant
>>> from scipy.sparse import csr_matrix
>>> model = penchant.ImplicitALS(factors=8, iterations=5)
>>> model = model.fit(csr_matrix(np.eye(4, dtype=np.float32)), show_progress=False)
>>> model.item_factors.shape
(4, 8)
"""

import logging as _logging

from . import _penchant, datasets
from ._penchant import DataError, DeviceError, NumericError
from ._penchant import version as _version
from .doctor import doctor
from .estimators import ImplicitALS, Item2Vec, Popularity, RankingMF, load
from .evaluation import Evaluation, evaluate
from .formats import export
from .interactions import Interactions
from .memory import MemoryEstimate, estimate_memory
from .reader import Reader, apply_delta
from .segmentation import Segments, segments
from .tuning import tune

__version__ = _version()

_logger = _logging.getLogger("penchant")
_penchant.set_log_sink(
    lambda warning, message: _logger.log(_logging.WARNING if warning else _logging.INFO, message)
)

__all__ = [
    "DataError",
    "DeviceError",
    "Evaluation",
    "ImplicitALS",
    "Interactions",
    "Item2Vec",
    "MemoryEstimate",
    "NumericError",
    "Popularity",
    "RankingMF",
    "Reader",
    "Segments",
    "__version__",
    "apply_delta",
    "datasets",
    "doctor",
    "estimate_memory",
    "evaluate",
    "export",
    "load",
    "segments",
    "tune",
]
