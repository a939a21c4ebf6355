"""What is measured and tested on a GPU, a stage a file; each runs in a process of its own."""
