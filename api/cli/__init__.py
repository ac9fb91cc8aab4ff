"""The program `crosslook`."""
