"""Run `sciu-experiment` as `python -m sciu.tools.experiment`."""

from sciu.tools.experiment import main

main()
