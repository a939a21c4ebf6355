"""What is decided after an epoch, and by which rule."""
