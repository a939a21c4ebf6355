"""Reading the files of clips, and the choice of their decoder."""

DECODES = ("auto", "cpu", "gpu")  # the setting `decode`; here, because `routes.py` imports torch
