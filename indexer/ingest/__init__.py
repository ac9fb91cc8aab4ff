"""Index folders: scan, read, encode and commit files, and watch for changes."""
