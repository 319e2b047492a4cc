"""A stand-in for django-debug-toolbar: an app without models."""
