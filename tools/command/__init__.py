"""What commands share: errors in one line, exit codes, options, tables for people, JSON for machines, progress."""

from sciu.tools.command.commands import RUN_FAILED, Command, Group, LazyGroup, pending_signal
from sciu.tools.command.options import as_names, as_pairs, json_option, replace_option, require_new_file
from sciu.tools.command.output import Progress, print_json, print_table

__all__ = [
    "RUN_FAILED", "Command", "Group", "LazyGroup", "Progress", "as_names", "as_pairs", "json_option", "pending_signal",
    "print_json", "print_table", "replace_option", "require_new_file",
]  # fmt: skip
