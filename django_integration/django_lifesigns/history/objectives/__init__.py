"""Objectives: how much bad time a check may have, what is left of that, and how fast it is spent."""
