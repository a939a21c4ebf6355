"""The commands of `sciu-purify`, by what they are for."""
