"""Benchmarks of the service's parts, for pytest-benchmark: embedding, encoding, caches and SQL.

    python -m pytest scenarios/micro --benchmark-only

The SQL group takes its server from MEMBENCH_DATABASE_URL and is skipped without it. What a call costs here it costs
without HTTP, without a queue before it and without anybody else: the sum of the parts is not the service.
"""
