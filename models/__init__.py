"""Backbones, the weight head, losses: networks only, no imports from other packages of sciu."""
