"""An inventory of networks."""
