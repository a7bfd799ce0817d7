"""A load file for redis (``redis-cli --pipe < model.resp``): a sorted set a user.

``ZREVRANGE penchant:user:ID 0 9 WITHSCORES`` gives the best ten items.
"""

from __future__ import annotations

from pathlib import Path

from redis.connection import Connection

from .tables import plain, top_lists, write_whole

KEY = "penchant:user:{}"


def write(model, path, options) -> None:
    packer = Connection()  # never connected: it only words commands

    def write_commands(temporary: str) -> None:
        with Path(temporary).open("wb") as file:
            for user, items, scores in top_lists(model, options):
                key = KEY.format(plain(user))
                file.writelines(packer.pack_command("DEL", key))
                if len(items) == 0:
                    continue
                pairs = [
                    part
                    for item, score in zip(items, scores)
                    for part in (repr(float(score)), plain(item))
                ]
                file.writelines(packer.pack_command("ZADD", key, *pairs))

    write_whole(path, write_commands)
