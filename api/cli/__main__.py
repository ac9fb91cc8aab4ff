"""`python -m api.cli`: the program without its installed script."""

from .main import main

main()
