"""Benches of whole trainings."""
