"""One loss a file. Each takes logits in any precision, works in float32, and returns a value a clip, [B]."""
