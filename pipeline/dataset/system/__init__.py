"""Atomic files, and work on all cores."""
