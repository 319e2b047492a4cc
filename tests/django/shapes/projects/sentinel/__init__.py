"""A service whose Redis is found by sentinels."""
