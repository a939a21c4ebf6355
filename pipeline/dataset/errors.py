"""The error of this room; `exit_code` is what a command ends with."""


class DatasetError(ValueError):
    """A dataset, a source to import or a clip is not what it must be."""

    exit_code = 3
