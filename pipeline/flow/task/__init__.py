"""What one Ray task or actor does, on plain records, without Ray."""
