"""Checks in Python: what only Django, or a library of the project, can reach."""
