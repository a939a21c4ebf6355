"""Decoders as queues: encoded clips in, frames out, in order; and what they raise at bad clips."""
