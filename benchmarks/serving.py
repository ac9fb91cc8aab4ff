"""`crosslook serve` under load: warm text searches with reranking of 100, by 1 to 64 clients at once. JSON out.

    python -m benchmarks.serving --count 100000 --out benchmarks/results/serving.json

The index is made up as in `benchmarks/growth.py`, or `--index` names one. The server is a process of its own, started
as users start it, and once more with a batch of one sentence, to see what batching gives. Clients are as many
connections that ask the next question as soon as the last one is answered; they share the machine with the server.

    python -m benchmarks.serving --index DIR --soak 600 --roots PICTURES --out benchmarks/results/soak.json

asks with 16 clients for so many seconds, has pictures indexed meanwhile, and watches the server's memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks import report
from benchmarks.growth import SEED, fill
from encoders import load_encoder
from indexer import Catalog, VectorIndex
from indexer.catalog.records import Kind

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
SOAK_CLIENTS = 16
ALONE = "import encoders.inference.batching as t; t.LARGEST_BATCH = 1; from api.cli.main import main; main()"
WHO = ("a man", "a woman", "two children", "a brown dog", "three people", "a climber", "a cyclist", "a crowd")
DOES = ("running", "jumping", "standing", "playing", "waiting", "sitting", "laughing", "swimming")
WHERE = ("in the snow", "on a beach", "in a street", "beside a car", "on grass", "in a park", "near water", "at night")


def sentences() -> Iterator[str]:
    """512 different ones, over and over."""
    number = 0
    while True:
        yield f"{WHO[number % 8]} {DOES[number // 8 % 8]} {WHERE[number // 64 % 8]}"
        number += 1


@dataclass
class Load:
    """What so many clients met: milliseconds of each answer, statuses, and how long it all took."""

    times: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Medians and counts."""
        at = statistics.quantiles(self.times, n=100)
        return {
            "answers": len(self.times),
            "statuses": self.statuses,
            "p50_ms": round(at[49], 1),
            "p99_ms": round(at[98], 1),
            "answers_a_second": round(len(self.times) / self.seconds, 1),
        }


async def client(address: tuple[str, int], texts: Iterator[str], until: float, load: Load) -> None:
    """One connection, a question at a time: plain HTTP/1.1, since a client library takes longer than the server."""
    reader, writer = await asyncio.open_connection(*address)
    while time.perf_counter() < until:
        body = json.dumps({"text": next(texts)}).encode()
        head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}"
        began = time.perf_counter()
        writer.write(head.encode() + b"\r\n\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        lines = answer.decode().lower().split("\r\n")
        length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        await reader.readexactly(length)
        load.times.append(1000 * (time.perf_counter() - began))
        status = int(lines[0].split()[1])
        load.statuses[status] = load.statuses.get(status, 0) + 1
    writer.close()


async def ask(address: tuple[str, int], clients: int, seconds: float) -> Load:
    """So many clients for so long."""
    load, texts, began = Load(), sentences(), time.perf_counter()
    await asyncio.gather(*(client(address, texts, began + seconds, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


@contextmanager
def server(index: Path, *arguments: str, program: tuple[str, ...] = ("-m", "api.cli")) -> Iterator[tuple[int, int]]:
    """A server process, ready: its process id and its port. Its log goes to a file: a pipe would fill, and stop it."""
    command = [sys.executable, *program, "serve", "--port", "0", "--index", str(index), *arguments]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(command, stderr=log)  # noqa: S603  ours
        try:
            port = listening(process, Path(log.name))
            ready(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


def listening(process: subprocess.Popen[bytes], log: Path) -> int:
    """The port that a server says it listens at."""
    for _ in range(600):
        said = log.read_text()
        found = re.search(r"http://\S+:(\d+)", said)
        if found:
            return int(found[1])
        if process.poll() is not None:
            raise SystemExit(f"the server ended: {said}")
        time.sleep(0.2)
    raise SystemExit(f"the server does not listen after two minutes: {said}")


def ready(port: int) -> None:
    """Wait until it says that it can search."""
    for _ in range(600):
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server is not ready after two minutes")


def levels(index: Path, seconds: float, program: tuple[str, ...]) -> dict[str, Any]:
    """Every number of clients in turn, over one server."""
    with server(index, program=program) as (_, port):
        address = ("127.0.0.1", port)
        asyncio.run(ask(address, 4, 3))  # warm
        found = {str(clients): asyncio.run(ask(address, clients, seconds)).as_dict() for clients in CLIENTS}
    for clients, result in found.items():
        print(clients, json.dumps(result), flush=True)
    return found


def soak(index: Path, seconds: float, roots: Path) -> dict[str, Any]:
    """Ask for long, index meanwhile, and watch the memory."""
    memory: list[int] = []

    async def watch(pid: int) -> None:
        while True:
            memory.append(resident(pid))
            await asyncio.sleep(5)

    async def index_again(port: int) -> int:
        runs = 0
        while True:
            await asyncio.to_thread(_index, port)
            runs += 1
            await asyncio.sleep(5)

    async def all_of_it(pid: int, port: int) -> Load:
        beside = [asyncio.create_task(watch(pid)), asyncio.create_task(index_again(port))]
        load = await ask(("127.0.0.1", port), SOAK_CLIENTS, seconds)
        for task in beside:
            task.cancel()
        return load

    with server(index, "--root", str(roots)) as (pid, port):
        load = asyncio.run(all_of_it(pid, port))
        with urlopen(f"http://127.0.0.1:{port}/v1/jobs", timeout=30) as answer:
            jobs = json.load(answer)
    after_a_minute = memory[min(12, len(memory) - 1)]
    return load.as_dict() | {
        "seconds": round(load.seconds),
        "clients": SOAK_CLIENTS,
        "resident_mb": [round(m / 1e6) for m in memory[::12]],
        "growth_after_the_first_minute": round(max(memory[12:] or memory) / after_a_minute - 1, 4),
        "jobs": [{"state": job["state"], "added": (job["report"] or {}).get("added")} for job in jobs],
    }


def _index(port: int) -> None:
    request = Request(f"http://127.0.0.1:{port}/v1/index", b"{}", {"Content-Type": "application/json"}, method="POST")
    try:
        urlopen(request, timeout=30).close()  # noqa: S310  http
    except OSError:
        time.sleep(1)  # the last job is still running


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def made(folder: Path, count: int) -> Path:
    """An index of so many made-up pictures."""
    encoder = load_encoder()
    with Catalog.open(folder, create=True) as catalog:
        fill(catalog, count, encoder, catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension))
        VectorIndex.rebuild(catalog, Kind.IMAGE)
    return folder


def main() -> None:
    """Measure and write the document."""
    parser = report.parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--index", type=Path, help="an index that is there already")
    parser.add_argument("--seconds", type=float, default=10, help="for each number of clients")
    parser.add_argument("--soak", type=float, help="seconds, instead")
    parser.add_argument("--roots", type=Path, help="pictures to index during a soak")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        index = options.index or made(Path(name), options.count)
        if options.soak:
            result = soak(index, options.soak, options.roots)
        else:
            batched = levels(index, options.seconds, ("-m", "api.cli"))
            alone = levels(index, options.seconds, ("-c", ALONE))
            rates = {clients: found["answers_a_second"] for clients, found in batched.items()}
            result = {
                "batched": batched,
                "without_batching": alone,
                "throughput_of_32_clients_to_1": round(rates["32"] / rates["1"], 2),
            }
    result["on"] = report.provenance(SEED)
    report.write(result, options.out)


if __name__ == "__main__":
    main()
