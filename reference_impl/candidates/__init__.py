"""What searches choose their candidates from, in the memory of the process; the database stays the only truth."""
