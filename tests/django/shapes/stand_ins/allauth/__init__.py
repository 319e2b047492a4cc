"""A stand-in for django-allauth: an app without models."""
