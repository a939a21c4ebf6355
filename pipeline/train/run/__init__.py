"""A run: its folder, its parts, its checkpoints; begun, resumed, looked at again."""
