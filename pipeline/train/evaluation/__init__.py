"""Evaluation: predictions and recalls of clips that do not train, and how well purification finds known errors."""
