"""A stand-in for django-storages."""
