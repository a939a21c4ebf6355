"""`bench.py gpu`: everything that a GPU machine can prove in minutes, a stage a file, each in a process of its own."""
