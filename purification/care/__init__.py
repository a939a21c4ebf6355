"""A store that is looked after: does it hold together, mending it, its health, every decision in a sentence."""
