"""The training step: frames -> loss -> weights and scores."""
