"""A stand-in for django-cors-headers."""
