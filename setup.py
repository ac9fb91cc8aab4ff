"""Chooses FAISS: its GPU build where NVIDIA's driver is installed. Everything else is in pyproject.toml."""

import os
import platform
import shutil
import sys
import tomllib
from pathlib import Path

from setuptools import setup

HAS_GPU = sys.platform == "linux" and platform.machine() == "x86_64" and shutil.which("nvidia-smi")
FAISS = os.environ.get("CROSSLOOK_FAISS") or ("faiss-gpu>=1.15" if HAS_GPU else "faiss-cpu>=1.11")

document = tomllib.loads(Path(__file__).with_name("pyproject.toml").read_text(encoding="utf-8"))
setup(install_requires=[*document["tool"]["crosslook"]["dependencies"], FAISS])
