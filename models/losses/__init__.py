"""One loss a file. Each returns a value for each clip, [B], except rank regularisation: one value for the batch.

Logits may have any precision; the losses compute in float32. Labels are class numbers of any integer type; a clip whose
label is negative is scored only: its loss is 0.
"""
