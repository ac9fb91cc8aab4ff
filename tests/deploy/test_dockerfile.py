"""The Dockerfile and the compose file, as far as they can be tested without a container engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.server.settings import PREFIX, Settings, read_settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, with continuation lines joined and comments removed."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def copied() -> list[str]:
    """The paths that are copied from the repository."""
    return [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]


def environment() -> dict[str, str]:
    """The environment variables of the final stage."""
    last = [rest for name, rest in instructions() if name == "ENV"][-1]
    return dict(part.split("=", 1) for part in last.split())


def single(name: str) -> str:
    """The arguments of an instruction that occurs once."""
    (arguments,) = [rest for instruction, rest in instructions() if instruction == name]
    return arguments


def compose() -> dict[str, Any]:
    """The parsed compose file."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def test_copied_paths_exist_and_are_in_the_build_context() -> None:
    """The ignore file lets through what the Dockerfile copies, and nothing else."""
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert [line.removeprefix("!") for line in ignore if line.startswith("!")] == copied()
    assert all((ROOT / source).exists() for source in copied())


@pytest.mark.slow
def test_the_copied_paths_are_enough_to_install_the_program(tmp_path: Path) -> None:
    """`crosslook doctor` works when installed from these paths alone; the libraries are those of this environment."""
    source, target = tmp_path / "src", tmp_path / "site"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), "."], cwd=source, check=True)
    shutil.rmtree(source)
    code = "import sys, api.cli.main, api.server; assert 'site/api' in api.server.__file__; api.cli.main.main()"
    process = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{target}:{sysconfig.get_path('purelib')}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout)["model"]["sound"] is True


def test_the_image_runs_as_a_numeric_user_and_has_a_health_check() -> None:
    """A number shows an orchestrator that it is not root; the check uses Python because the image has no curl."""
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", single("USER"))
    check = single("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/readyz" in command[2]
    assert f"CROSSLOOK_PORT={single('EXPOSE')}" in [f"{name}={value}" for name, value in environment().items()]


def test_the_image_has_a_variant_with_and_one_without_cuda() -> None:
    """Any other value of VARIANT stops the build."""
    assert ("ARG", "VARIANT=cpu") in instructions()
    choice = next(rest for name, rest in instructions() if name == "RUN" and "case" in rest)
    script = choice.partition("&&")[0] + '; echo "with: $*."'
    for variant, words in (
        ("cpu", "with: ."),
        ("cuda", "with: torch timm faiss-gpu."),
        ("tpu", "VARIANT is cpu or cuda, not tpu"),
    ):
        shell = ["/bin/sh", "-c", script]
        process = subprocess.run(shell, env={"VARIANT": variant}, capture_output=True, text=True, check=False)
        assert words in process.stdout + process.stderr
        assert (process.returncode == 0) == (variant != "tpu")


def test_the_environment_of_the_image_has_known_settings() -> None:
    """It listens on all addresses of the container, and clients may index `/pictures`."""
    settings = read_settings({}, environment=environment())
    assert (settings.host, settings.port, settings.roots) == ("0.0.0.0", 8000, [Path("/pictures")])  # noqa: S104  intended in a container
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "INDEX"}
    assert {name for name in environment() if name.startswith(PREFIX)} <= known


def test_the_compose_file_matches_the_dockerfile() -> None:
    """Path, argument, port and volumes agree; pictures are read-only; the grace period exceeds shutdown_seconds."""
    service = compose()["services"]["crosslook"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert set(service["build"]["args"]) <= {rest.partition("=")[0] for name, rest in instructions() if name == "ARG"}
    (port,) = service["ports"]
    assert port == f"127.0.0.1:8000:{single('EXPOSE')}"
    index, pictures = service["volumes"]
    assert [index.split(":")[1], pictures.split(":")[-2]] == json.loads(single("VOLUME"))
    assert index.split(":")[0] in compose()["volumes"]
    assert pictures.endswith(":ro")
    assert service["read_only"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings().shutdown_seconds


def test_files_named_in_the_header_comments_exist() -> None:
    """The commands in the comments work when they are copied."""
    for file in ("Dockerfile", "compose.yaml", "crosslook.service"):
        for name in re.findall(r"deploy/[\w.]+", (DEPLOY / file).read_text()):
            assert (ROOT / name).is_file(), name
