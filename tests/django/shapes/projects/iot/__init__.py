"""A fleet of devices on a map."""
