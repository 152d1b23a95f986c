"""Run a command with ``TEST_DATABASE_URL`` leading to Debian's own PostgreSQL, started for it and removed after.

Usage: python tests/external_server.py COMMAND [ARGUMENT ...]

The login is what an administrator would hand out: it may create roles and databases and is no superuser.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Start, run, stop."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if not programs:
        sys.exit("Debian's PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="voiceai-external-"))
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if user:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(16)
    secret = folder / "password"
    secret.write_text(password)
    if user:
        shutil.chown(secret, "postgres")
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*user, str(programs[-1] / program), *arguments], check=True, stdout=subprocess.DEVNULL)

    run("initdb", "-D", str(data), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run("pg_ctl", "-w", "-D", str(data), "-l", str(folder / "log"), "-o", options, "start")
    try:
        environment = {**os.environ, "PGPASSWORD": password}
        statement = f"create role administrator login createrole createdb password '{password}'"
        subprocess.run(
            [str(programs[-1] / "psql"), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "-c", statement],
            env=environment,
            check=True,
        )
        url = f"postgresql://administrator:{password}@127.0.0.1:{port}/postgres"
        result = subprocess.run(sys.argv[1:], env={**os.environ, "TEST_DATABASE_URL": url}, check=False)
    finally:
        run("pg_ctl", "-w", "-D", str(data), "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(result.returncode)


if __name__ == "__main__":
    main()
