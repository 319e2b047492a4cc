"""An app of a project."""
