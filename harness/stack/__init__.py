"""Brings up what is measured: PostgreSQL, its tuning, and the service process; and takes all of it down again."""
