"""Runs the program as `python -m api.cli`."""

from .main import main

main()
