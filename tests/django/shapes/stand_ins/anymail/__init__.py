"""A stand-in for django-anymail."""
