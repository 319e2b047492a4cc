"""A long history on a PostgreSQL of its own, and what is measured on it."""
