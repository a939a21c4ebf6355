"""Files that are whole or absent, and work on all cores."""
