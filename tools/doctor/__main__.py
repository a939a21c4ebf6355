"""Run `sciu-doctor` as `python -m sciu.tools.doctor`."""

from sciu.tools.doctor import main

main()
