"""Vector indexes with a common interface, each configured as documented for inner product or cosine."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

BLOCK = 5_000
EFS = (10, 14, 20, 28, 40, 56, 80, 113, 160, 226, 320, 453, 640, 905, 1280)
PROBES = (1, 2, 4, 8, 16, 32, 64, 128)
NO_BREADTHS = (0,)


class Peer(Protocol):
    """A vector index. `breadths` are values of efSearch or nprobe, ascending; (0,) if it is not configurable."""

    breadths: tuple[int, ...]

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Index unit vectors (N, D); the rows in `allowed` are marked for filtered searches."""
        ...

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """Return the rows of the k nearest vectors; with `allowed`, of the nearest marked ones."""
        ...


class Crosslook:
    """crosslook as `crosslook index` configures it: a catalog, and the index structure for its size."""

    breadths = NO_BREADTHS

    def __init__(self, folder: Path, dimension: int) -> None:
        from encoders.memory import keep_freed_memory  # noqa: PLC0415  each peer imports only its own library
        from indexer import Catalog  # noqa: PLC0415  as above

        keep_freed_memory()

        self.catalog = Catalog.open(folder, create=True)
        self.catalog.use_encoder("synthetic", "5" * 64, dimension)

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Write the catalog's rows, and build the vector index."""
        from indexer import VectorIndex  # noqa: PLC0415  as above
        from indexer.catalog.records import Kind  # noqa: PLC0415  as above

        with self.catalog.transaction() as connection:
            rows = ((i + 1, row.tobytes()) for i, row in enumerate(vectors.astype("<f2")))
            connection.connection.executemany("INSERT INTO embedding VALUES (1, 'image', ?, ?)", rows)
        self.index = VectorIndex.rebuild(self.catalog, Kind.IMAGE)
        self.allowed = allowed + 1

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """Ids are row numbers plus one."""
        _, ids = self.index.search(query[None], k, allowed=None if allowed is None else self.allowed)
        return ids[0] - 1


class Hnswlib:
    """https://github.com/nmslib/hnswlib, with M and ef_construction as in crosslook."""

    breadths = EFS

    def __init__(self, folder: Path, dimension: int) -> None:
        import hnswlib  # noqa: PLC0415  as above

        self.index = hnswlib.Index(space="ip", dim=dimension)

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Add all vectors in one call, with hnswlib's threads."""
        self.index.init_index(max_elements=len(vectors), M=32, ef_construction=80)
        self.index.add_items(vectors)
        self.index.set_num_threads(1)
        self.mark = np.zeros(len(vectors), bool)
        self.mark[allowed] = True

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The filter is a Python function that is called for every vector visited."""
        self.index.set_ef(max(k, breadth))
        marked = None if allowed is None else (lambda row: bool(self.mark[row]))
        return self.index.knn_query(query[None], k=k, filter=marked)[0][0].astype(np.int64)


class Usearch:
    """https://github.com/unum-cloud/usearch, half precision; its Python API has no filter: hits are post-filtered."""

    breadths = EFS

    def __init__(self, folder: Path, dimension: int) -> None:
        from usearch.index import Index  # noqa: PLC0415  as above

        self.index = Index(ndim=dimension, metric="ip", dtype="f16", connectivity=32, expansion_add=80)

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Add all vectors in one call."""
        self.index.add(np.arange(len(vectors)), vectors)
        self.count = len(vectors)

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The search parameter is an attribute of the index."""
        share = 1 if allowed is None else self.count // len(allowed)
        self.index.expansion_search = max(k, breadth) * share
        rows = self.index.search(query, k * share * (1 if allowed is None else 4)).keys.astype(np.int64)
        return rows if allowed is None else rows[np.isin(rows, allowed)][:k]


class Lance:
    """https://lancedb.github.io/lancedb, IVF-HNSW with scalar quantisation, re-scored with the stored vectors."""

    breadths = PROBES

    def __init__(self, folder: Path, dimension: int) -> None:
        import lancedb  # noqa: PLC0415  as above

        self.database, self.dimension = lancedb.connect(folder), dimension

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Create a table of vectors, rows and marks, and index both vectors and marks."""
        import pyarrow as pa  # noqa: PLC0415  comes with lancedb

        mark = np.zeros(len(vectors), bool)
        mark[allowed] = True

        def block(start: int) -> Any:  # noqa: ANN401  an Arrow batch
            part = vectors[start : start + BLOCK]
            flat = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), self.dimension)
            rows = np.arange(start, start + len(part))
            return pa.record_batch([flat, pa.array(rows), pa.array(mark[rows])], ["vector", "row", "mark"])

        blocks = [block(start) for start in range(0, len(vectors), BLOCK)]
        self.table = self.database.create_table("vectors", pa.Table.from_batches(blocks))
        self.table.create_index("vector", config=_lance_index())
        self.table.create_scalar_index("mark", index_type="BITMAP")

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The mark is an indexed column."""
        ef = max(4 * k, 8 * breadth)  # at least the number of vectors that are re-scored
        request = self.table.search(query).distance_type("dot").nprobes(breadth).ef(ef).refine_factor(4)
        if allowed is not None:
            request = request.where("mark", prefilter=True)
        return request.limit(k).select(["row"]).to_arrow()["row"].to_numpy().astype(np.int64)


def _lance_index() -> Any:  # noqa: ANN401  lancedb's
    from lancedb.index import HnswSq  # noqa: PLC0415  as above

    return HnswSq(distance_type="dot", m=32, ef_construction=80)


class Chroma:
    """https://docs.trychroma.com, stored on disk; its search parameter is fixed for the collection."""

    breadths = NO_BREADTHS

    def __init__(self, folder: Path, dimension: int) -> None:
        import chromadb  # noqa: PLC0415  as above

        client = chromadb.PersistentClient(str(folder), settings=chromadb.Settings(anonymized_telemetry=False))
        options = {"space": "ip", "max_neighbors": 32, "ef_construction": 80, "ef_search": 160}
        self.collection = client.create_collection("vectors", configuration={"hnsw": options})

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Add vectors in blocks, because the batch size is limited."""
        marked = set(allowed.tolist())
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            marks = [{"mark": row in marked} for row in rows]
            self.collection.add(ids=list(map(str, rows)), embeddings=vectors[rows.start : rows.stop], metadatas=marks)

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The mark is metadata."""
        where = None if allowed is None else {"mark": True}
        result = self.collection.query(query_embeddings=[query], n_results=k, where=where, include=[])
        return np.array(result["ids"][0], np.int64)


class Qdrant:
    """The local mode of https://github.com/qdrant/qdrant-client, which searches exhaustively."""

    breadths = NO_BREADTHS

    def __init__(self, folder: Path, dimension: int) -> None:
        from qdrant_client import QdrantClient, models  # noqa: PLC0415  as above

        self.models, self.client = models, QdrantClient(path=str(folder))
        shape = models.VectorParams(size=dimension, distance=models.Distance.DOT)
        self.client.create_collection("vectors", vectors_config=shape)

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Add vectors in blocks."""
        mark = np.zeros(len(vectors), bool)
        mark[allowed] = True
        for start in range(0, len(vectors), BLOCK):
            rows = range(start, min(start + BLOCK, len(vectors)))
            points = [
                self.models.PointStruct(id=row, vector=vectors[row].tolist(), payload={"mark": bool(mark[row])})
                for row in rows
            ]
            self.client.upsert("vectors", points)

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The mark is in the payload."""
        models = self.models
        marked = models.Filter(must=[models.FieldCondition(key="mark", match=models.MatchValue(value=True))])
        query_filter = None if allowed is None else marked
        result = self.client.query_points(
            "vectors", query=query, limit=k, query_filter=query_filter, with_payload=False
        )
        return np.array([point.id for point in result.points], np.int64)


class SqliteVec:
    """https://github.com/asg017/sqlite-vec, exhaustive; uses pysqlite3 if Python's sqlite3 cannot load extensions."""

    breadths = NO_BREADTHS

    def __init__(self, folder: Path, dimension: int) -> None:
        import sqlite3  # noqa: PLC0415  as above

        import sqlite_vec  # noqa: PLC0415

        library: Any = sqlite3
        if not hasattr(sqlite3.Connection, "enable_load_extension"):
            library = importlib.import_module("pysqlite3")
        self.connection = library.connect(str(folder / "vectors.db"))
        self.connection.enable_load_extension(True)  # noqa: FBT003  a positional parameter of sqlite3
        sqlite_vec.load(self.connection)
        self.connection.execute(
            f"CREATE VIRTUAL TABLE v USING vec0(row INTEGER PRIMARY KEY, e float[{dimension}] distance_metric=cosine, "
            "mark INTEGER)"
        )

    def build(self, vectors: Floats, allowed: Rows) -> None:
        """Insert all vectors in one transaction."""
        mark = np.zeros(len(vectors), np.int64)
        mark[allowed] = 1
        rows = ((i, row.tobytes(), int(mark[i])) for i, row in enumerate(vectors))
        with self.connection:
            self.connection.executemany("INSERT INTO v(row, e, mark) VALUES (?, ?, ?)", rows)

    def search(self, query: Floats, k: int, breadth: int, allowed: Rows | None) -> Rows:
        """The mark is a metadata column."""
        where = "e MATCH ? AND k = ?" + ("" if allowed is None else " AND mark = 1")
        statement = f"SELECT row FROM v WHERE {where}"  # noqa: S608  both clauses are constants
        return np.array([row for (row,) in self.connection.execute(statement, (query.tobytes(), k))], np.int64)


PEERS: dict[str, Any] = {
    "crosslook": Crosslook,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "lancedb": Lance,
    "chroma": Chroma,
    "qdrant-local": Qdrant,
    "sqlite-vec": SqliteVec,
}
