"""`bench.py gpu`: what a GPU machine can show in minutes, a stage a file, each in its own process."""
