"""Prints PARAMETERS.md from the comments and defaults of train_config.proto."""

from __future__ import annotations

import re
from pathlib import Path

HEAD = """# Parameters

Generated from configs/train_config.proto by `./dev format`; every field of a training config, in
the text-proto form that `penchant train` takes. `--set als.factors=64` overrides one.
"""

FIELD = re.compile(
    r"(?P<label>optional |repeated )?(?P<type>[\w.]+) (?P<name>\w+) = \d+"
    r"(?: \[default = (?P<default>[^\]]+)\])?;"
)


def main() -> None:
    text = (Path(__file__).parent / "train_config.proto").read_text()
    lines = text.splitlines()
    run = text[text.index("message TrainConfig") :]
    path_of = {m["type"]: m["name"] for m in FIELD.finditer(run) if m["type"][0].isupper()}
    print(HEAD)
    comment: list[str] = []
    depth = 0
    for line in lines:
        text = line.strip()
        if text.startswith("//"):
            comment.append(text[2:].strip())
            continue
        message = re.match(r"message (\w+) \{(\})?", text)
        if message:
            path = path_of.get(message[1])
            print(f"## {path or 'The run'}\n\n{' '.join(comment)}\n")
            if not message[2]:
                print("| field | type | default | meaning |\n|---|---|---|---|")
                depth = 1
            comment = []
            continue
        field = FIELD.match(text)
        if depth and field:
            kind = ("repeated " if field["label"] == "repeated " else "") + field["type"]
            default = field["default"] or ""
            meaning = " ".join(comment).replace("|", r"\|")
            name = f"{path}.{field['name']}" if path else field["name"]
            print(f"| {name} | {kind} | {default} | {meaning} |")
        if text == "}" and depth and not line.startswith(" "):
            print()
            depth = 0
        if not text.startswith("oneof"):
            comment = []


if __name__ == "__main__":
    main()
