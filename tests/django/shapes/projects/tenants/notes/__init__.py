"""An app that each customer has."""
