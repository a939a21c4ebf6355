"""The storage: LMDB made safe, its blocks, scores and averages by clip, and the evidence in them."""
