"""From folders to the catalog: scan, read, encode, commit; and follow what changes."""
