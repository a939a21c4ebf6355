"""Lets `python -m sciu.tools.doctor` do what `sciu-doctor` does."""

from sciu.tools.doctor import main

main()
