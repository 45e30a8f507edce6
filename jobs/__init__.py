"""Entry points for ``ray job submit``; they call the command line."""
