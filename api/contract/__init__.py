"""The documents that go over the wire, as pydantic models, for both ends. Nothing but pydantic is imported."""
