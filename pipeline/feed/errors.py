"""The error of this package; `exit_code` is the exit code of a command.

OneLineError
└── FeedError       3   clips, an index or the machine cannot be used
"""

from sciu.pipeline.errors import OneLineError


class FeedError(OneLineError):
    """The clips cannot be fed."""

    exit_code = 3
