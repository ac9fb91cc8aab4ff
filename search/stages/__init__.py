"""The stages of one query, in order: parse, look up keywords, retrieve, negate, rerank."""
