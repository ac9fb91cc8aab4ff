"""From a file to pixels and metadata, whatever the format and whatever is wrong with the file."""
