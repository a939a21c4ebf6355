"""Which clips this epoch, which frames, and their pixels on the device."""
