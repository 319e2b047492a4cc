"""A stand-in for Django REST framework: an app without models."""
