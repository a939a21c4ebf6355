"""What commands share: errors in one line, exit codes, options, tables for people, JSON for machines, progress."""

from sciu.tools.command.commands import RUN_FAILED, Command, Group, LazyGroup
from sciu.tools.command.options import (
    LazyChoice,
    as_names,
    as_pairs,
    checkpoint_option,
    json_option,
    network_options,
    replace_option,
    require_new_file,
    require_writable,
)
from sciu.tools.command.output import duration, print_json, say
from sciu.tools.command.progress import Progress
from sciu.tools.command.signals import pending_signal
from sciu.tools.command.table import Marked, print_table

__all__ = [
    "RUN_FAILED", "Command", "Group", "LazyChoice", "LazyGroup", "Marked", "Progress", "as_names", "as_pairs",
    "checkpoint_option", "duration", "json_option", "network_options", "pending_signal", "print_json", "print_table",
    "replace_option", "require_new_file", "require_writable", "say",
]  # fmt: skip
