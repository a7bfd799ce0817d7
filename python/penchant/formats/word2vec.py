"""word2vec's text or binary format, of the items: what gensim and embedding viewers open."""

from __future__ import annotations

from gensim.models import KeyedVectors

from .tables import tables_of, write_whole


def write(model, path, options) -> None:
    tables = tables_of(model)
    names = [str(item) for item in tables.item_ids]
    for name in names:
        if not name or any(c.isspace() for c in name):
            raise ValueError(f"word2vec's format ends names at spaces; item {name!r} has one")
    vectors = KeyedVectors(vector_size=tables.factors)
    vectors.add_vectors(names, tables.items)
    binary = path.name.endswith(".bin")
    write_whole(path, lambda temporary: vectors.save_word2vec_format(temporary, binary=binary))
