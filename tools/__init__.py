"""The commands: they combine the other packages, and no package imports them."""


def version() -> str:
    """Return the version of sciu that is installed."""
    from importlib import metadata  # takes a tenth of the time of `--help`

    return metadata.version("sciu")
