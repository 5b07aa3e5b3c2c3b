"""PostgreSQL: the pool, the migrations, and every SQL statement of the service."""
