"""As SQL Server's official backend: it does not say which version the server has."""
