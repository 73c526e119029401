"""A network that fails: ports that hand connections on to a server, and spoil them on demand.

    with Toxiproxy() as network:
        way = network.way(server.port)
        url = server.url(database).replace(f":{server.port}/", f":{way.port}/")
        with way.toxic("latency", "downstream", latency=300):
            …
        way.close(); way.open()
"""
import contextlib
import itertools
import json
import subprocess
import time
import urllib.request

from harness import toolset
from servers.postgres import free_port

SERVER = toolset.ROOT / ".toolset/bin/toxiproxy-server"


class Toxiproxy:
    def __enter__(self):
        if not SERVER.exists():
            raise SystemExit("there is no toxiproxy: run scripts/setup")
        self.port = free_port()
        self.numbers = itertools.count()
        self.process = subprocess.Popen([SERVER, "-host", "127.0.0.1", "-port", str(self.port)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env={"LOG_LEVEL": "fatal"})
        end = time.monotonic() + 20
        while True:
            try:
                self.ask("GET", "/version")
                return self
            except OSError:
                if time.monotonic() > end:
                    self.__exit__()
                    raise
                time.sleep(0.02)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def ask(self, method, path, **body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=json.dumps(body).encode() if body else None)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.read()

    def way(self, port):
        return Way(self, f"way{next(self.numbers)}", port)


class Way:
    def __init__(self, network, name, port):
        self.network, self.name = network, name
        said = json.loads(network.ask("POST", "/proxies", name=name, listen="127.0.0.1:0", upstream=f"127.0.0.1:{port}",
                                      enabled=True))
        self.port = int(said["listen"].rsplit(":", 1)[1])
        network.ask("POST", f"/proxies/{name}", listen=f"127.0.0.1:{self.port}")  # the same one when it opens again

    def add(self, kind, stream, **attributes):
        self.network.ask("POST", f"/proxies/{self.name}/toxics", name=f"{kind}_{stream}", type=kind, stream=stream,
                         attributes=attributes)

    def remove(self, kind, stream):
        self.network.ask("DELETE", f"/proxies/{self.name}/toxics/{kind}_{stream}")

    @contextlib.contextmanager
    def toxic(self, kind, stream, **attributes):
        self.add(kind, stream, **attributes)
        try:
            yield
        finally:
            self.remove(kind, stream)

    def close(self):
        self.network.ask("POST", f"/proxies/{self.name}", enabled=False)

    def open(self):
        self.network.ask("POST", f"/proxies/{self.name}", enabled=True)

    def url(self, server, database):
        return server.url(database).replace(f":{server.port}/", f":{self.port}/")
