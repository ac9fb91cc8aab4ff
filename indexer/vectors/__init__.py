"""The vector index: FAISS structures over the stored vectors, and their files. A cache of the catalog."""
