"""The network as torch modules: towers, heads, fusion, reranker."""
