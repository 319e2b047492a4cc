"""A chat over websockets."""
