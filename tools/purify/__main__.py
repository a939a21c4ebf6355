"""Run `sciu-purify` as `python -m sciu.tools.purify`."""

from sciu.tools.purify import main

main()
