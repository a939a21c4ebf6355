"""A run and its parts: created, resumed, evaluated."""
