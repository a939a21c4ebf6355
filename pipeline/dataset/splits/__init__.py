"""Which clips train, validate and test: drawn, stored, and counted."""
