"""A grid of trainings: its spec, its runs, what they begin with, and how they are run."""
