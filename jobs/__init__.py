"""Entry points for ``ray job submit``; thin, like the command line they share."""
