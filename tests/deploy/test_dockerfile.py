"""The Dockerfile and the compose file, tested without a container engine."""

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
    """The Dockerfile's instructions, with continued lines joined and comments removed."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def copied() -> list[str]:
    """The paths copied from the repository."""
    return [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    ]


def environment() -> dict[str, str]:
    """The environment of the final image."""
    last = [rest for name, rest in instructions() if name == "ENV"][-1]
    return dict(part.split("=", 1) for part in last.split())


def one(name: str) -> str:
    """The only instruction of a kind."""
    (found,) = [rest for instruction, rest in instructions() if instruction == name]
    return found


def compose() -> dict[str, Any]:
    """The compose file."""
    document: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return document


def test_copied_files_exist_and_are_not_ignored() -> None:
    """The ignore file admits exactly what the Dockerfile copies."""
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in ignore
    assert [line.removeprefix("!") for line in ignore if line.startswith("!")] == copied()
    assert all((ROOT / source).exists() for source in copied())


@pytest.mark.slow
def test_the_copied_files_install_to_a_working_program(tmp_path: Path) -> None:
    """The copied files alone install to a working program, with this environment's libraries."""
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
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--json"],
        cwd=tmp_path,
        env={"PYTHONPATH": f"{target}:{sysconfig.get_path('purelib')}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"]["sound"] is True


def test_the_image_has_a_numeric_user_and_a_health_check() -> None:
    """The user is numeric, so that orchestrators see it is not root; the health check needs no curl."""
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", one("USER"))
    check = one("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert "/readyz" in command[2]
    assert f"CROSSLOOK_PORT={one('EXPOSE')}" in [f"{name}={value}" for name, value in environment().items()]


def test_the_image_has_a_variant_with_and_one_without_cuda() -> None:
    """Any other value of the build argument fails the build."""
    assert ("ARG", "VARIANT=cpu") in instructions()
    choice = next(rest for name, rest in instructions() if name == "RUN" and "case" in rest)
    script = choice.partition("&&")[0] + '; echo "$index"'
    for variant, words in (("cpu", "whl/cpu"), ("cuda", "pypi.org"), ("tpu", "VARIANT is cpu or cuda, not tpu")):
        shell = ["/bin/sh", "-c", script]
        done = subprocess.run(shell, env={"VARIANT": variant}, capture_output=True, text=True, check=False)
        assert words in done.stdout + done.stderr
        assert (done.returncode == 0) == (variant != "tpu")


def test_the_environment_of_the_image_consists_of_settings() -> None:
    """All variables are settings: it listens on all addresses, and `/pictures` may be indexed."""
    settings = read_settings({}, environment=environment())
    assert (settings.host, settings.port, settings.roots) == ("0.0.0.0", 8000, [Path("/pictures")])  # noqa: S104  so it is
    known = {PREFIX + name.upper() for name in Settings.model_fields} | {PREFIX + "INDEX"}
    assert {name for name in environment() if name.startswith(PREFIX)} <= known


def test_the_compose_file_matches_the_dockerfile() -> None:
    """The compose file matches the Dockerfile; pictures are read-only, and the stop timeout exceeds the server's."""
    service = compose()["services"]["crosslook"]
    assert (DEPLOY / service["build"]["context"]).resolve() == ROOT
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert set(service["build"]["args"]) <= {rest.partition("=")[0] for name, rest in instructions() if name == "ARG"}
    (port,) = service["ports"]
    assert port == f"127.0.0.1:8000:{one('EXPOSE')}"
    index, pictures = service["volumes"]
    assert [index.split(":")[1], pictures.split(":")[-2]] == json.loads(one("VOLUME"))
    assert index.split(":")[0] in compose()["volumes"]
    assert pictures.endswith(":ro")
    assert service["read_only"] is True
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings().shutdown_seconds


def test_commands_in_header_comments_name_existing_files() -> None:
    """The commands in the files' header comments name existing files."""
    for file in ("Dockerfile", "compose.yaml", "crosslook.service"):
        for name in re.findall(r"deploy/[\w.]+", (DEPLOY / file).read_text()):
            assert (ROOT / name).is_file(), name
