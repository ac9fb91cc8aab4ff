"""The stages of one query: parse it, look up keywords, retrieve, rerank. Excluded words act on the last two."""
