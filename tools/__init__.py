"""The commands: thin, they compose the rooms and are imported by nobody."""
