"""The engine of this process: built, started in workers, shared, and kept in step with the settings."""
