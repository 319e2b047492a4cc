"""A database engine of Django: its own for MySQL, with the client library PyMySQL, which needs no compiler."""
