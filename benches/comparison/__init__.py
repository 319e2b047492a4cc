"""What stands behind `benches.compare`: contenders, the services they check, and what is measured of them."""
