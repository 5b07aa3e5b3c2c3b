"""Watches a run from beside it: the host, the service's own readings, and where the record comes from."""
