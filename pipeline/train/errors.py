"""The errors of this room; settings are refused as in the dataset's room, which this one builds upon.

ValueError
├── TrainError      1   the training cannot go on
└── RunError        3   a run's folder is not what it must be
"""


class TrainError(ValueError):
    """The training cannot go on: its loss is no number, the device has no memory left."""

    exit_code = 1


class RunError(ValueError):
    """A run's folder is not what it must be."""

    exit_code = 3
