"""What a run stores: its folder, card, state, epoch records and checkpoints."""
