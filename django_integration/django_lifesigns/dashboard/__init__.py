"""The dashboard: what is known of all checks now and their history, as a page for people and as JSON."""
