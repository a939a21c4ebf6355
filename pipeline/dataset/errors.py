"""The error of this package; `exit_code` is the exit code of a command."""


class DatasetError(ValueError):
    """A dataset, a source to import or a clip is invalid."""

    exit_code = 3
