"""The errors of this room.

ValueError
└── DatasetError    the data on disk is not what it must be; the message gives the value and the remedy

`tools/command.py` turns every room's errors into one line and an exit code.
"""


class DatasetError(ValueError):
    """A dataset, a source to import or a clip is not what it must be."""
