"""The error of this package; `exit_code` is the exit code of a command."""

from sciu.pipeline.errors import shown


class DatasetError(ValueError):
    """A dataset, a source to import or a clip is invalid. The message is one line, whatever names it contains."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(shown(message))
