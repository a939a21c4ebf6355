"""The errors of this room; `exit_code` is what a command ends with.

ValueError
├── TrainError      1   the training cannot go on
├── RunError        3   a run's folder is not what it must be
└── SettingError    2   what was asked for makes no sense

The message is one line: what must be, what is, and the remedy. Any other exception is a bug of ours, or the system's.
"""


class TrainError(ValueError):
    """The training cannot go on: its loss is no number, the device has no memory left."""

    exit_code = 1


class RunError(ValueError):
    """A run's folder is not what it must be."""

    exit_code = 3


class SettingError(ValueError):
    """A setting makes no sense."""

    exit_code = 2


def require(holds: bool, what: str, must: str, value: object) -> None:
    """Refuse a setting in the one grammar."""
    if not holds:
        raise SettingError(f"{what} must be {must}, but is {value}.")
