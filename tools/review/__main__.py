"""Run `sciu-review` as `python -m sciu.tools.review`."""

from sciu.tools.review import main

main()
