"""Decoded frames -> the pixels that a plan asks for, on the CPU and on a GPU."""
