"""The errors of this package; an invalid setting raises `sciu.pipeline.errors.SettingError`.

OneLineError
├── TrainError      1   the training cannot continue
└── RunError        3   a run's folder is invalid
"""

from sciu.pipeline.errors import OneLineError


class TrainError(OneLineError):
    """The training cannot continue: its loss is not finite, or the device's memory or the disk is full."""

    exit_code = 1


class RunError(OneLineError):
    """A run's folder is invalid."""

    exit_code = 3
