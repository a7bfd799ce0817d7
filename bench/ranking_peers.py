"""Peers of RankingMF that need an older numpy: `ranking.py` runs this with a Python of their own.

`ranking_peers.py NAME EPOCHS TRAIN OUT` reads a CSR matrix (scipy's .npz), fits the peer with 64
factors and two threads, and writes users, items and the fit's CPU seconds to OUT (.npz). Item
biases are a further factor, 1 for users.
"""

from __future__ import annotations

import os
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy import io, sparse

FACTORS, THREADS = 64, 2


def cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system


def with_biases(users, items, biases):
    return (
        np.hstack([users, np.ones((len(users), 1), np.float32)]),
        np.hstack([items, np.asarray(biases, np.float32).reshape(-1, 1)]),
    )


def lightfm_warp(matrix, epochs):
    from lightfm import LightFM

    model = LightFM(no_components=FACTORS, loss="warp", random_state=1)
    begin = cpu_seconds()
    model.fit(matrix.tocoo(), epochs=epochs, num_threads=THREADS)
    seconds = cpu_seconds() - begin
    items = model.item_embeddings, model.item_biases
    return *with_biases(model.user_embeddings, *items), seconds


def buffalo(algorithm, options, matrix, epochs):
    import buffalo

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "train.mtx")
        io.mmwrite(path, matrix)
        data = buffalo.MatrixMarketOptions().get_default_option()
        data.input.main = path
        data.data.path = os.path.join(folder, "train.h5py")
        data.data.validation = {}
        settings = options().get_default_option()
        settings.update(d=FACTORS, num_workers=THREADS, num_iters=epochs, random_seed=1)
        model = algorithm(settings, data_opt=data)
        model.initialize()
        begin = cpu_seconds()
        model.train()
        seconds = cpu_seconds() - begin
        return *with_biases(model.P, model.Q, model.Qb), seconds


def buffalo_bpr(matrix, epochs):
    import buffalo

    return buffalo_(buffalo.BPRMF, buffalo.BPRMFOption, matrix, epochs)


def buffalo_warp(matrix, epochs):
    import buffalo

    return buffalo_(buffalo.WARP, buffalo.WARPOption, matrix, epochs)


buffalo_ = buffalo
PEERS = {"LightFM warp": lightfm_warp, "buffalo bpr": buffalo_bpr, "buffalo warp": buffalo_warp}


if __name__ == "__main__":
    name, epochs, train, out = sys.argv[1:]
    users, items, seconds = PEERS[name](sparse.load_npz(train).astype(np.float32), int(epochs))
    np.savez(out, users=users, items=items, seconds=seconds)
