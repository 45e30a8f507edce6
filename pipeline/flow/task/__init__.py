"""What one Ray task or actor does, as functions on records. No Ray here."""
