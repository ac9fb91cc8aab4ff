"""The torch modules: towers, heads, fusion, reranker."""
