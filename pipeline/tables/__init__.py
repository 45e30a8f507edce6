"""Each table is declared in one module; its schema, rows, records and documentation follow."""
