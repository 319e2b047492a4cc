"""A stand-in for django-tenants: one PostgreSQL schema for each tenant."""
