"""What is read of a clip, and who decodes it."""
