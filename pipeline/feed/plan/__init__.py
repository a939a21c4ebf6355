"""Which clips in which order, which of their frames, and how they are looked at."""
