"""Tests of django_lifesigns."""
