"""The interfaces: command line, HTTP service, and its client."""
