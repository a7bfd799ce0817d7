"""Peers of RankingMF that need an older numpy: `ranking.py` runs this with a Python of their own.

`ranking_peers.py NAME EPOCHS TRAIN OUT` reads a CSR matrix (scipy's .npz), fits the peer with 64
factors and two threads, and writes users, items and the fit's CPU seconds to OUT (.npz). Item
biases are a further factor, 1 of every user.
"""

from __future__ import annotations

import os
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy import io, sparse

FACTORS, THREADS = 64, 2


def timed(run) -> float:
    begin = os.times()
    run()
    end = os.times()
    return end.user + end.system - begin.user - begin.system


def with_biases(users, items, biases):
    ones = np.ones((len(users), 1), np.float32)
    return np.hstack([users, ones]), np.hstack([items, np.reshape(biases, (-1, 1))])


def lightfm_warp(matrix, epochs):
    from lightfm import LightFM

    model = LightFM(no_components=FACTORS, loss="warp", random_state=1)
    seconds = timed(lambda: model.fit(matrix.tocoo(), epochs=epochs, num_threads=THREADS))
    return *with_biases(model.user_embeddings, model.item_embeddings, model.item_biases), seconds


def buffalo_bpr(matrix, epochs):
    from buffalo import BPRMF, BPRMFOption, MatrixMarketOptions

    with tempfile.TemporaryDirectory() as folder:
        data = MatrixMarketOptions().get_default_option()
        data.input.main = os.path.join(folder, "train.mtx")
        data.data.path = os.path.join(folder, "train.h5py")
        data.data.validation = {}
        io.mmwrite(data.input.main, matrix)
        options = BPRMFOption().get_default_option()
        options.update(d=FACTORS, num_workers=THREADS, num_iters=epochs, random_seed=1)
        options.update(lr=0.1, min_lr=0.01)  # its own 0.002 leaves all factors at zero
        model = BPRMF(options, data_opt=data)
        model.initialize()
        seconds = timed(model.train)
        return *with_biases(model.P, model.Q, model.Qb), seconds


PEERS = {"LightFM WARP": lightfm_warp, "buffalo BPR": buffalo_bpr}


if __name__ == "__main__":
    name, epochs, train, out = sys.argv[1:]
    users, items, seconds = PEERS[name](sparse.load_npz(train).astype(np.float32), int(epochs))
    np.savez(out, users=users, items=items, seconds=seconds)
