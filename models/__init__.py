"""Backbones, the weight head, losses: networks only, nothing of ours imported."""
