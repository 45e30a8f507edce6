"""Output of the index: rows as text or as files."""
