"""A stand-in for WhiteNoise."""
