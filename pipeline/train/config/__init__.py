"""Settings, presets and methods, and what `auto` means on this machine."""
