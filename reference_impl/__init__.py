"""A memory service over PostgreSQL and pgvector, complete in itself: HTTP API, storage, metrics."""

from typing import Final

__version__: Final = "0.1.0"
