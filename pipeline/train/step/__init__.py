"""Frames -> loss -> weights and scores: the network, what it learns by, and how it is evaluated."""
