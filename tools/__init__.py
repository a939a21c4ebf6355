"""The commands: they combine the other packages, and no package imports them."""
