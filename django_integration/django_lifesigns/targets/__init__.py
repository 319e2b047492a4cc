"""The targets that Django's settings name, and the check of each."""
