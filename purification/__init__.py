"""What we believe about every clip."""
