"""Roll-ups: what each check did in each minute, hour and day, in seconds."""
