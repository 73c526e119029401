"""Servers of Flight SQL that others wrote, each on a free port of 127.0.0.1.

    with Roapi(folder) as server:       # DataFusion over Parquet files, by arrow-rs; reads only
        server.write("orders", table)
        server.kill(); server.start()   # on the same port
    if ArrowGo.PROGRAM.exists():        # `scripts/setup network` builds it
        with ArrowGo() as server: …     # SQLite in memory, by arrow-go
"""
import contextlib
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import time

import pyarrow.parquet

from harness import toolset
from servers.postgres import free_port


class Flight:
    def __init__(self):
        self.port = free_port()
        self.process = None

    @property
    def uri(self):
        return f"grpc://127.0.0.1:{self.port}"

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, f"{self.command()[0]} ended with {self.process.returncode}"
                assert time.monotonic() < end, f"{self.command()[0]} does not listen"
                time.sleep(0.02)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.kill()


class Roapi(Flight):
    PROGRAM = pathlib.Path(sys.executable).with_name("roapi")

    def __init__(self, folder):
        super().__init__()
        self.folder = pathlib.Path(folder)

    def command(self):
        tables = [part for file in sorted(self.folder.glob("*.parquet")) for part in ("-t", f"{file.stem}={file}")]
        return [self.PROGRAM, "-a", "127.0.0.1:0", "-p", "127.0.0.1:0", "--addr-flight-sql", f"127.0.0.1:{self.port}", *tables]

    def write(self, name, table):
        """A table, after all others that it has; it is read anew at the start."""
        self.kill()
        pyarrow.parquet.write_table(table, self.folder / f"{name}.parquet")
        self.start()


class ArrowGo(Flight):
    PROGRAM = toolset.ROOT / ".toolset/bin/sqlite_flightsql_server"

    def command(self):
        return [self.PROGRAM, "-host", "127.0.0.1", "-port", str(self.port)]


class Tls:
    """A port with a certificate, before a server that has none."""

    def __init__(self, port, folder):
        self.port_of_server = port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.crt", folder / "server.key")
        self.context.set_alpn_protocols(["h2"])
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.uri = f"grpc+tls://localhost:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self.listening.accept()[0],), daemon=True).start()

    def _serve(self, plain):
        with contextlib.suppress(OSError):
            with self.context.wrap_socket(plain, server_side=True) as client:
                server = socket.create_connection(("127.0.0.1", self.port_of_server))
                threading.Thread(target=self._pass, args=(server, client), daemon=True).start()
                self._pass(client, server)

    @staticmethod
    def _pass(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listening.close()
