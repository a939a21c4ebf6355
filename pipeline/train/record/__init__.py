"""What a run writes down: its folder, its card, where it stands, an epoch in numbers, checkpoints."""
