"""Decoders as queues: encoded clips in, frames out, in order; and the faults of bad clips."""
