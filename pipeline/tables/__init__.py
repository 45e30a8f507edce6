"""Records as rows of the tables, and rows as records."""
