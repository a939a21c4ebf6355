"""Memory for batches and for clips that are kept decoded."""
