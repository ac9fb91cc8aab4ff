"""One module a kind of resource; each has a `router`."""
