"""A module that cannot be imported, as a project's may be."""

check = 1 / 0
