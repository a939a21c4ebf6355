"""Results of runs: written, read, measured, and compared with each other and with the truth."""
