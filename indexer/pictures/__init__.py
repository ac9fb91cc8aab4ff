"""Read picture files safely: pixels, metadata and thumbnails."""
