"""A web shop from the best-known template: settings for development and for production."""
