"""Load on the scoring service: one process, a few clients on the loopback address, a bounded time.

    python -m benchmarks.scoring [--kind boosting] [--clients 4] [--seconds 20]

Prints requests per second and percentiles of the latency as the client sees it. In the middle the champion is
exchanged; a request that is not answered with 200 fails the run.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np

from voiceai_assets.models.abandonment.features import prefix_table
from voiceai_assets.models.abandonment.registry import Registry
from voiceai_assets.models.abandonment.training import TrainingConfig, train
from voiceai_assets.synthetic.config import linear
from voiceai_assets.synthetic.world import World

SAID = {"asr_confidence": 0.4, "is_error_turn": True, "total_ms": 900, "channel": "voice", "region": "rural"}
SERVE = """
import sys
from pathlib import Path

from voiceai_assets.models.abandonment.registry import Registry
from voiceai_assets.scoring.service import serve

serve(Registry(Path(sys.argv[1])), "127.0.0.1", int(sys.argv[2]))
"""


def main() -> None:
    """Train, serve, ask, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["logistic", "boosting"], default="logistic")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=6)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        table = prefix_table(*World(linear(users=800, days=10, sessions_per_day=150)).facts())
        result = train(table, TrainingConfig(kind=asked.kind, resamples=5))
        first, second = (registry.save(replace(result), {}, revision) for revision in ("one", "two"))
        registry.set_champion(first)
        port = _free_port()
        server = subprocess.Popen([sys.executable, "-c", SERVE, folder, str(port)])
        try:
            _measure(registry, second, port, asked)
        finally:
            server.terminate()
            server.wait(timeout=10)


def _measure(registry: Registry, second: str, port: int, asked: argparse.Namespace) -> None:
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, trust_env=False) as client:
        _until_ready(client)
    latencies: list[float] = []
    versions: set[str] = set()
    refused: list[int] = []
    until = time.perf_counter() + asked.seconds

    def ask() -> None:
        body = {"turns": [SAID] * asked.turns}
        with httpx.Client(base_url=base, trust_env=False) as client:
            while time.perf_counter() < until:
                start = time.perf_counter()
                answer = client.post("/score", json=body)
                latencies.append(time.perf_counter() - start)
                if answer.status_code == 200:
                    versions.add(answer.json()["model_version"])
                else:
                    refused.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(asked.clients)]
    for thread in threads:
        thread.start()
    time.sleep(asked.seconds / 2)
    registry.set_champion(second)
    for thread in threads:
        thread.join()
    p50, p95, p99 = 1000 * np.percentile(latencies, [50, 95, 99])
    print(
        f"{asked.kind}, {asked.clients} clients, {asked.turns} turns a session: {len(latencies) / asked.seconds:,.0f} "
        f"requests/s, p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms, {len(refused)} not answered, "
        f"{len(versions)} versions seen"
    )
    if refused:
        sys.exit(1)


def _until_ready(client: httpx.Client) -> None:
    for _ in range(1200):
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.ConnectError:
            time.sleep(0.1)
    sys.exit("the service did not start within two minutes")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    main()
