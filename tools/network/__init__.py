"""What a trained network is used for: evaluate it, predict by it, export it."""
