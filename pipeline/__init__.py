"""The hot path, in the order a clip travels it: dataset, feed, train."""
