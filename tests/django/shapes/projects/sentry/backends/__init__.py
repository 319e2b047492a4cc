"""The project's own engine of Django."""
