"""A grid of trainings: its spec, its runs, their data and labels, and how they are run."""
