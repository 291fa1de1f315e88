"""The logs in PostgreSQL, where several app processes share one project; only here psycopg is known."""
