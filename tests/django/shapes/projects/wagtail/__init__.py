"""A site of a content management system."""
