"""The errors of this package; `exit_code` is the exit code of a command.

ValueError
└── ModelError    2   a backbone, a size or a weight file that cannot be used
"""


class ModelError(ValueError):
    """A network does not exist, does not fit, or breaks its contract."""

    exit_code = 2
