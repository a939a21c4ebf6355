"""The error of this package; `exit_code` is the exit code of a command."""

from sciu.pipeline.errors import OneLineError


class DatasetError(OneLineError):
    """A dataset, a source to import or a clip is invalid."""

    exit_code = 3
