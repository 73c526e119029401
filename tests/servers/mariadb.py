"""A MariaDB of a test's own: TLS, a password, a free port of 127.0.0.1, a data folder that goes with it.

    with MariaDb() as server:
        url = server.url(server.create_database())
        server.kill(); server.sql("SELECT count(*) FROM orders", database)
"""
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from servers.postgres import PASSWORD, free_port, make_certificates

SETTINGS = """
[mariadbd]
datadir={folder}/data
tmpdir={folder}/tmp
socket={folder}/socket
pid-file={folder}/pid
log-error={folder}/log
bind-address=127.0.0.1
port={port}
ssl-ca={folder}/ca.pem
ssl-cert={folder}/server.crt
ssl-key={folder}/server.key
character-set-server=utf8mb4
skip-name-resolve
innodb_flush_log_at_trx_commit={durable}
innodb_buffer_pool_size=128M
innodb_log_file_size=32M
performance_schema=OFF
max_connections=60
"""
NULL = "\\N"


class MariaDb:
    connector = "mariadb"
    place = 'url: "${secret:DATABASE_URL}"'  # what names it in a job
    serves = ("mariadb",)  # connectors that are tested with it
    databases_query = "SHOW DATABASES"

    def __init__(self, durable=False):
        self.durable = durable
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tranche-mariadb-"))
        self.folder.chmod(0o755)  # of another user than the server's, where we are root
        self.port = free_port()
        self.databases = itertools.count(1)
        self.process = None

    @classmethod
    def attach(cls, folder, port):
        """The server that another process has started."""
        server = cls.__new__(cls)
        server.folder, server.port = pathlib.Path(folder), int(port)
        return server

    def _user(self, *command):
        if os.getuid() == 0:
            return ["setpriv", "--reuid", "mysql", "--regid", "mysql", "--init-groups", "--reset-env", "--", *map(str, command)]
        return list(map(str, command))

    def __enter__(self):
        try:
            for name in ("data", "tmp"):
                (self.folder / name).mkdir()
            make_certificates(self.folder)
            (self.folder / "my.cnf").write_text(SETTINGS.format(folder=self.folder, port=self.port, durable=1 if self.durable else 2))
            if os.getuid() == 0:
                subprocess.run(["chown", "-R", "mysql:", self.folder], check=True)
            subprocess.run(self._user("mariadb-install-db", f"--defaults-file={self.folder}/my.cnf",
                                      "--auth-root-authentication-method=normal", "--skip-test-db"),
                           cwd="/", check=True, capture_output=True)
            self.start()
            self.sql(f"CREATE USER 'tranche'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL; GRANT ALL ON *.* TO 'tranche'@'127.0.0.1'; "
                     f"CREATE USER 'plain'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO 'plain'@'127.0.0.1'")
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self._stop(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        self.process = subprocess.Popen(self._user("/usr/sbin/mariadbd", f"--defaults-file={self.folder}/my.cnf"), cwd="/",
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            if subprocess.run(["mariadb-admin", "--no-defaults", "--protocol=socket", "-uroot", "-S", self.folder / "socket", "ping"],
                              capture_output=True).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"MariaDB did not start: {(self.folder / 'log').read_text()[-2000:]}")

    def _stop(self, how):
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.wait(60)
        self.process = None

    def kill(self):
        """As a machine that crashes; then it starts again."""
        self._stop(signal.SIGKILL)
        self.start()

    def in_transaction(self, database):
        """Numbers of sessions that have waited within a transaction for a while: they are held there, and not on their way."""
        return [row[0] for row in self.sql("SELECT t.trx_mysql_thread_id FROM information_schema.innodb_trx t JOIN "
                                           "information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.command = "
                                           f"'Sleep' AND p.time_ms > 1000 AND p.db = '{database}'")]

    def create_database(self):
        name = f"test_{next(self.databases)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name):
        self.sql(f"DROP DATABASE {name}")

    def url(self, database, user="tranche", password=PASSWORD):
        return f"mariadb://{user}:{password}@127.0.0.1:{self.port}/{database}?sslrootcert={self.folder}/ca.pem"

    def plain_url(self, database, port):
        """Without TLS: whoever stands at that port sees what is said."""
        return f"mariadb://plain:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable"

    def client(self, database):
        """The command of a session that reads SQL from its input."""
        return ["mariadb", "--no-defaults", "--protocol=socket", "-uroot", "-S", str(self.folder / "socket"), "--batch", database]

    def sql(self, text, database="mysql", delimiter=";"):
        """Rows as lists of text; NULL is \\N. Names stand in double quotes, as PostgreSQL has them."""
        done = subprocess.run(["mariadb", "--no-defaults", "--protocol=socket", "-uroot", "-S", self.folder / "socket", "--batch",
                               "--skip-column-names", "--default-character-set=utf8mb4", f"--delimiter={delimiter}",
                               "--init-command=SET sql_mode='ANSI_QUOTES,STRICT_ALL_TABLES'", database, "-e", text],
                              capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{text[:200]}: {done.stderr}")
        escapes = {"\\n": "\n", "\\t": "\t", "\\\\": "\\", "\\0": "\0"}

        def cell(value):
            if value == "NULL":
                return NULL
            for escaped, plain in escapes.items():
                value = value.replace(escaped, plain)
            return value
        return [[cell(value) for value in line.split("\t")] for line in done.stdout.splitlines()]
