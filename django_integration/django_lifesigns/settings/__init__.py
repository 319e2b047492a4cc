"""The `LIFESIGNS` settings: keys, values, options of checks, and what is wrong with them."""
