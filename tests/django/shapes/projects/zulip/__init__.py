"""A chat server."""
