"""Run `sciu-data` as `python -m sciu.tools.data`."""

from sciu.tools.data import main

main()
