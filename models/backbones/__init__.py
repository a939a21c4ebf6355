"""Clip [B, T, 3, H, W] -> embedding [B, D], one architecture a file; `registry.py` lists them by name."""
