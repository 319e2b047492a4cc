"""A service on a platform that gives URLs of its servers, which have certificates of their own making."""
