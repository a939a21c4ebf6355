"""Clips that are not learnt from: predictions, recalls, and what purification found of what is known to be wrong."""
