"""`crosslook serve` under load: text searches with 100 reranked candidates, by 1 to 64 concurrent clients. Writes JSON.

    python -m benchmarks.serving --count 100000 --out benchmarks/results/serving.json

The index is synthetic as in `benchmarks/growth.py`, or the one given with `--index`. The server is a separate process,
started as users start it, and once more without batching of sentences, to measure what batching gains. Each client is
one connection that sends its next query as soon as the last one is answered; clients and server share the machine.

    python -m benchmarks.serving --index DIR --soak 600 --roots PICTURES --out benchmarks/results/soak.json

is a soak test: 16 clients for that many seconds, while the server indexes pictures and its memory is recorded.
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
UNBATCHED = "import encoders.inference.batching as b; b.LARGEST_BATCH = 1; from api.cli.main import main; main()"
WHO = ("a man", "a woman", "two children", "a brown dog", "three people", "a climber", "a cyclist", "a crowd")
DOES = ("running", "jumping", "standing", "playing", "waiting", "sitting", "laughing", "swimming")
WHERE = ("in the snow", "on a beach", "in a street", "beside a car", "on grass", "in a park", "near water", "at night")


def sentences() -> Iterator[str]:
    """Yield 512 different sentences, repeatedly."""
    number = 0
    while True:
        yield f"{WHO[number % 8]} {DOES[number // 8 % 8]} {WHERE[number // 64 % 8]}"
        number += 1


@dataclass
class Load:
    """The responses to some clients: milliseconds of each, statuses, and the total time in seconds."""

    times: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Percentiles, counts and throughput."""
        percentiles = statistics.quantiles(self.times, n=100)
        return {
            "answers": len(self.times),
            "statuses": self.statuses,
            "p50_ms": round(percentiles[49], 1),
            "p99_ms": round(percentiles[98], 1),
            "answers_a_second": round(len(self.times) / self.seconds, 1),
        }


async def client(address: tuple[str, int], texts: Iterator[str], until: float, load: Load) -> None:
    """One connection, one query at a time, as plain HTTP/1.1: a client library would take longer than the server."""
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


async def run_clients(address: tuple[str, int], clients: int, seconds: float) -> Load:
    """Send queries from some clients for some seconds."""
    load, texts, began = Load(), sentences(), time.perf_counter()
    await asyncio.gather(*(client(address, texts, began + seconds, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


@contextmanager
def server(index: Path, *arguments: str, program: tuple[str, ...] = ("-m", "api.cli")) -> Iterator[tuple[int, int]]:
    """Start a server and wait until it is ready; yield its process id and port.

    Its log goes to a file, because a full pipe would block it.
    """
    command = [sys.executable, *program, "serve", "--port", "0", "--index", str(index), *arguments]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(command, stderr=log)  # noqa: S603  our own program
        try:
            port = wait_for_port(process, Path(log.name))
            wait_until_ready(port)
            yield process.pid, port
        finally:
            process.terminate()
            process.wait()


def wait_for_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """Wait until a server logs the port that it listens on."""
    for _ in range(600):
        text = log.read_text()
        url = re.search(r"http://\S+:(\d+)", text)
        if url:
            return int(url[1])
        if process.poll() is not None:
            raise SystemExit(f"the server exited: {text}")
        time.sleep(0.2)
    raise SystemExit(f"the server does not listen after two minutes: {text}")


def wait_until_ready(port: int) -> None:
    """Wait until `/readyz` answers 200."""
    for _ in range(600):
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server is not ready after two minutes")


def levels(index: Path, seconds: float, program: tuple[str, ...]) -> dict[str, Any]:
    """Run every number of clients in turn against one server."""
    with server(index, program=program) as (_, port):
        address = ("127.0.0.1", port)
        asyncio.run(run_clients(address, 4, 3))  # warm up
        results = {str(clients): asyncio.run(run_clients(address, clients, seconds)).as_dict() for clients in CLIENTS}
    for clients, result in results.items():
        print(clients, json.dumps(result), flush=True)
    return results


def soak(index: Path, seconds: float, roots: Path) -> dict[str, Any]:
    """Run clients for some seconds while the server indexes; record its memory."""
    memory: list[int] = []

    async def record_memory(pid: int) -> None:
        while True:
            memory.append(resident(pid))
            await asyncio.sleep(5)

    async def index_repeatedly(port: int) -> None:
        while True:
            await asyncio.to_thread(_index, port)
            await asyncio.sleep(5)

    async def run_all(pid: int, port: int) -> Load:
        background = [asyncio.create_task(record_memory(pid)), asyncio.create_task(index_repeatedly(port))]
        load = await run_clients(("127.0.0.1", port), SOAK_CLIENTS, seconds)
        for task in background:
            task.cancel()
        return load

    with server(index, "--root", str(roots)) as (pid, port):
        load = asyncio.run(run_all(pid, port))
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
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def make_index(folder: Path, count: int) -> Path:
    """Create an index of `count` synthetic pictures."""
    encoder = load_encoder()
    with Catalog.open(folder, create=True) as catalog:
        fill(catalog, count, encoder, catalog.use_encoder(encoder.name, encoder.fingerprint, encoder.dimension))
        VectorIndex.rebuild(catalog, Kind.IMAGE)
    return folder


def main() -> None:
    """Measure and write the result."""
    parser = report.parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--index", type=Path, help="an existing index")
    parser.add_argument("--seconds", type=float, default=10, help="seconds for each number of clients")
    parser.add_argument("--soak", type=float, help="run a soak test of this many seconds instead")
    parser.add_argument("--roots", type=Path, help="folder of pictures to index during the soak test")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        index = options.index or make_index(Path(name), options.count)
        if options.soak:
            result = soak(index, options.soak, options.roots)
        else:
            batched = levels(index, options.seconds, ("-m", "api.cli"))
            unbatched = levels(index, options.seconds, ("-c", UNBATCHED))
            rates = {clients: load["answers_a_second"] for clients, load in batched.items()}
            result = {
                "batched": batched,
                "without_batching": unbatched,
                "throughput_of_32_clients_to_1": round(rates["32"] / rates["1"], 2),
            }
    result["on"] = report.provenance(SEED)
    report.write(result, options.out)


if __name__ == "__main__":
    main()
