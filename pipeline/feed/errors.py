"""The errors of this room; `exit_code` is what a command ends with.

ValueError
├── FeedError       3   clips, an index or a machine are not what they must be
└── SettingError    2   what was asked for makes no sense

The message is one line: what must be, what is, and the remedy. Any other exception is a bug of ours, or the system's.
"""


class FeedError(ValueError):
    """The clips cannot be fed."""

    exit_code = 3


class SettingError(ValueError):
    """A setting makes no sense."""

    exit_code = 2


def require(holds: bool, what: str, must: str, value: object) -> None:
    """Refuse a setting in the one grammar."""
    if not holds:
        raise SettingError(f"{what} must be {must}, but is {value}.")
