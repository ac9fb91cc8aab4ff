"""Request and response documents as pydantic models, shared by server and client. Imports nothing but pydantic."""
