"""A stand-in for django-celery-beat: an app without models."""
