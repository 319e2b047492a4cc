"""Health checks for Django: from settings to the Lifesigns engine, and from its reports to URLs and commands."""
