"""The care of a store: verify it, repair it, report on the dataset's labels, explain every decision."""
