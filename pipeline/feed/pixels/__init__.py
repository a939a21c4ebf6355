"""Decoded frames -> the pixels of a plan, on the CPU and on a GPU."""
