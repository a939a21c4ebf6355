"""What can be chosen, what goes together, and what `auto` stands for on this machine."""
