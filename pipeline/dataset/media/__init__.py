"""The files of a clip: containers, frames, what is in them, and how they are read and written."""
