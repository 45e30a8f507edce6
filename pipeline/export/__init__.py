"""What leaves the index: rows as text or files."""
