"""The stages of one query: parse it, look up keywords, retrieve, rerank. Excluded words (`negate`) act on the last two."""
