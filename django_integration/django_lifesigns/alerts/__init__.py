"""Incidents in a project: from `LIFESIGNS["ALERTS"]` to the engine, and from there to tables, admin and commands."""
