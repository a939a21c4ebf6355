"""Feeds: an epoch's clips, their frames, and the pixels on the device."""
