"""A shop's API."""
