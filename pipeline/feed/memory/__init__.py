"""Memory for batches and for decoded clips."""
