"""What `sciu-experiment` measures, one question a file."""
