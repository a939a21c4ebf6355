"""The errors of this room; `exit_code` is what a command ends with.

ValueError
└── ModelError    2   a backbone, a size or a weight file that cannot be used
"""


class ModelError(ValueError):
    """A network that does not exist, does not fit, or does not do what it must."""

    exit_code = 2
