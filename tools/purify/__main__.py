"""Lets `python -m sciu.tools.purify` do what `sciu-purify` does."""

from sciu.tools.purify import main

main()
