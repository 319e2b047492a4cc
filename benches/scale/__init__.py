"""What many of something cost: HTTP checks of as many servers, connections to the probe server."""
