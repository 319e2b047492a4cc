"""A service with one schema for each customer."""
