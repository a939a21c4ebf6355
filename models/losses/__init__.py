"""One loss a file, a value a clip, [B], but for rank regularisation, which is of the batch.

Logits come in any precision and are worked on in float32. Labels are class numbers of any integer type; a clip whose
label is negative is scored only: its loss is 0.
"""
