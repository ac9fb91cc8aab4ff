"""The command line program `crosslook`."""
