"""Reading the files of clips, and the choice of their decoder."""
