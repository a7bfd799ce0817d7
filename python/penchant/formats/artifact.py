"""The compact artifact of `penchant.Reader` and libpenchant_reader."""


def write(model, path, options) -> None:
    model.export(path, dtype=options.dtype, kind=options.kind, since=options.since)
