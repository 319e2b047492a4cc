"""Several databases as Django's documentation has them: `default` is an empty dict."""
