"""How good an index is: its events against the truth."""
