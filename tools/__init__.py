"""The commands: they combine the other packages, and no package imports them."""

from importlib import metadata


def version() -> str:
    """Return the version of sciu that is installed."""
    return metadata.version("sciu")
