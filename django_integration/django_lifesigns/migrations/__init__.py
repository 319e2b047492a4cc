"""The tables of `django_lifesigns.models`."""
