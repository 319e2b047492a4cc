"""A gateway that keeps nothing: no database, no users, no sessions."""
