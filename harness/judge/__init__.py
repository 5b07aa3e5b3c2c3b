"""Says of each figure whether it meets its target, and whether it can be believed at all."""
