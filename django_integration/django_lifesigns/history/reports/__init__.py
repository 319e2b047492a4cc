"""Reports on the history: what is in them, and the formats in which they are written."""
