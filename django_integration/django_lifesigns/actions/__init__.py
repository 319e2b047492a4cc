"""Self-healing: actions from settings, what each does, the table of what they did, and the switches of operators."""
