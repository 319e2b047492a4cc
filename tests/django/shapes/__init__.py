"""Projects as others write them: their settings, stand-ins for packages that are not installed, and their servers."""
