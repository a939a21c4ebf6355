"""The methods that keep a running average of every clip's probabilities: ELR, and `auto`, which decides with it."""
