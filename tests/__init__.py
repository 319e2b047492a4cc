"""The tests of both distributions, and the real services they run against."""
