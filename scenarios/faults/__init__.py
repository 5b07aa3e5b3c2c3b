"""The reference service with a fault planted: what a gate must find, and the operations that it must leave alone.

The service knows nothing of this. Faults change its parts from outside, before it starts, and then run it as usual:

    MEMORY_DATABASE_URL=postgresql://... python -m scenarios.faults slow_search=1.2 --port 3333
"""
