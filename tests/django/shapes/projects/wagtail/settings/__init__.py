"""Base, and what differs from it."""
