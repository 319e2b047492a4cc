"""What health checks cost at the cadence of production: an hour of it in five minutes of real time."""
