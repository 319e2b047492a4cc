"""A stand-in for django-rq: an app without models."""
