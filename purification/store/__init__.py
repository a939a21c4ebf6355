"""What lasts: LMDB made safe, which blocks there are, scores and averages by clip, and the evidence in them."""
