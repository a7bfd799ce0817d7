"""Between scipy matrices and the core's (indptr, indices, data, shape) tuples."""

from __future__ import annotations

import numpy as np
from scipy import sparse

Parts = tuple  # (indptr int64, indices int32, data float32 or None, (rows, cols))


def to_parts(matrix, what: str) -> Parts:
    """Canonical CSR parts of a sparse matrix: sorted, duplicates summed, explicit zeros dropped.

    Raises TypeError when ``matrix`` is not sparse and ValueError for NaN or infinite weights.
    """
    if not sparse.issparse(matrix):
        raise TypeError(f"{what} must be a scipy sparse matrix; got {type(matrix).__name__}")
    csr = sparse.csr_matrix(matrix, dtype=np.float32)
    if csr.shape[1] > np.iinfo(np.int32).max or csr.shape[0] > np.iinfo(np.int32).max:
        raise ValueError(f"{what} is {csr.shape}; each side is limited to 2^31 - 1 rows")
    if not np.isfinite(csr.data).all():
        bad = int(np.flatnonzero(~np.isfinite(csr.data))[0])
        row = int(np.searchsorted(csr.indptr, bad, side="right")) - 1
        raise ValueError(
            f"{what} holds {csr.data[bad]} at ({row}, {csr.indices[bad]}); weights must be finite"
        )
    if not (csr.has_canonical_format and csr.data.all()):
        csr = csr.copy() if csr is matrix else csr
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr.indptr.astype(np.int64), csr.indices.astype(np.int32), csr.data, csr.shape


def from_parts(parts: Parts) -> sparse.csr_matrix:
    indptr, indices, data, shape = parts
    if data is None:
        data = np.ones(len(indices), dtype=np.float32)
    return sparse.csr_matrix((data, indices, indptr), shape=shape)
