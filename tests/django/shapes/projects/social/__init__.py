"""A social network's server."""
