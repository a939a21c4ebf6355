"""The media files of clips: containers and frames, and how to probe, read and write them."""
