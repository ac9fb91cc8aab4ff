"""The catalog: everything that is stored, in SQL, and every question that is put to it."""
