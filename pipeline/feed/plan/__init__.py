"""Plans: the order of clips, their frames, crops and augmentation."""
