"""What came of runs: written, read again, measured, and held against each other and the truth."""
