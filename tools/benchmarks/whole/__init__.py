"""`all`: every bench of a CPU in one command, on one page."""
