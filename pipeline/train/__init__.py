"""Pixels -> loss -> weights."""
