"""Database backends of other engines as far as the checks see them: SQL Server's and MongoDB's."""
