"""In each customer's schema."""

from __future__ import annotations

from django.db import models


class Note(models.Model):
    """A line of text."""

    id = models.BigAutoField(primary_key=True)
    text = models.TextField()
