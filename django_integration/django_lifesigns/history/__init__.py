"""The history in the project's database: written, read, reported and adopted."""
