"""The error of this room; settings are refused as in the dataset's room, which this one builds upon.

ValueError
└── FeedError       3   clips, an index or a machine are not what they must be
"""


class FeedError(ValueError):
    """The clips cannot be fed."""

    exit_code = 3
