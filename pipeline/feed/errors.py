"""The error of this package; `exit_code` is the exit code of a command.

ValueError
└── FeedError       3   clips, an index or the machine cannot be used
"""


class FeedError(ValueError):
    """The clips cannot be fed."""

    exit_code = 3
