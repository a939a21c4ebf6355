"""The error of this room; `exit_code` is what a command ends with.

ValueError
└── FeedError       3   clips, an index or a machine are not what they must be
"""


class FeedError(ValueError):
    """The clips cannot be fed."""

    exit_code = 3
