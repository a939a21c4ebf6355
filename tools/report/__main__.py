"""Run `sciu-report` as `python -m sciu.tools.report`."""

from sciu.tools.report import main

main()
