"""The ways in: the command line, the HTTP application."""
