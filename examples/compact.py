"""Train on MovieLens-100K, export the items alone, and recommend to someone from a history."""

import os
import tempfile

import penchant

data = penchant.datasets.load("movielens-100k")
model = penchant.ImplicitALS(factors=64).fit(data, show_progress=False)

path = os.path.join(tempfile.mkdtemp(), "films.penchant")
model.export(path, dtype="int8", kind="items")  # no user row at all: fit for a phone
print(f"{os.path.getsize(path):,} bytes")

reader = penchant.Reader(path)
star_wars, empire, return_of_the_jedi = 50, 172, 181
ids, scores = reader.recommend(history=[star_wars, empire, return_of_the_jedi], n=5)
print("recommended:", ids)
score, parts = reader.explain([star_wars, empire, return_of_the_jedi], ids[0])
print(f"film {ids[0]} scores {score:.3f}, of which", parts)
