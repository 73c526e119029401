"""A PostgreSQL of a test's own: TLS, passwords, a free port of 127.0.0.1, a data folder that goes with it.

    with Postgres() as server:
        url = server.url(server.create_database())
        server.kill(); server.sql("SELECT count(*) FROM orders", database)
        with Standby(server) as standby:
            standby.bind(True)  # a COMMIT waits for it from now on
            server.crash(); standby.promote()
"""
import glob
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PASSWORD = "the-password-of-tests"
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 60
ssl = on
fsync = {durable}
full_page_writes = {durable}
shared_buffers = 128MB
max_wal_size = 2GB
"""
ACCESS = """
local all all trust
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl replication all 127.0.0.1/32 scram-sha-256
host all plain 127.0.0.1/32 scram-sha-256
host plain all 127.0.0.1/32 scram-sha-256
"""


def binaries():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise SystemExit("there is no PostgreSQL: run scripts/setup")
    return found[-1]


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def alive(pid):
    """A process that nobody has waited for yet is dead all the same."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def make_certificates(folder):
    """An authority (ca.pem), and a server's key and certificate by it."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=tests", "-keyout", "ca.key",
            "-out", "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "names", "-out", "server.crt")


class Postgres:
    connector = "postgres"
    place = 'url: "${secret:DATABASE_URL}"'  # what names it in a job
    serves = ("postgres", "adbc")  # connectors that are tested with it
    databases_query = "SELECT datname FROM pg_database"

    def __init__(self, durable=False):
        self.durable = durable
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tranche-postgres-"))
        self.folder.chmod(0o755)  # of another user than the server's, where we are root
        self.data = self.folder / "data"
        self.port = free_port()
        self.databases = itertools.count(1)

    @classmethod
    def attach(cls, folder, port):
        """The server that another process has started."""
        server = cls.__new__(cls)
        server.folder, server.port = pathlib.Path(folder), int(port)
        return server

    def _run(self, *command, **more):
        """As a user that PostgreSQL accepts: it refuses root."""
        if os.getuid() == 0:
            command = ("setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups", "--reset-env", "--", *command)
        return subprocess.run([str(part) for part in command], cwd="/", check=True, capture_output=True, text=True, **more)

    def __enter__(self):
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, "postgres", "postgres")
            password = self.folder / "password"
            password.write_text(PASSWORD)
            password.chmod(0o644)
            self._run(f"{binaries()}/initdb", "-D", self.data, "-U", "tranche", "-A", "scram-sha-256", f"--pwfile={password}",
                      "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
            make_certificates(self.folder)
            for name in ("server.key", "server.crt"):
                shutil.copy(self.folder / name, self.data / name)
                if os.getuid() == 0:
                    shutil.chown(self.data / name, "postgres", "postgres")
                (self.data / name).chmod(0o600)
            self._set(SETTINGS.format(durable="on" if self.durable else "off"))
            (self.data / "pg_hba.conf").write_text(ACCESS)
            self.start()
            self.sql("CREATE DATABASE plain")
            self.sql(f"CREATE ROLE plain SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _set(self, more):
        with open(self.data / "postgresql.conf", "a") as file:
            file.write(f"{more}\nport = {self.port}\nunix_socket_directories = '{self.folder}'\n")

    def pid(self):
        try:
            return int((self.data / "postmaster.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def start(self):
        try:
            self._run(f"{binaries()}/pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", self.folder / "log", "start")
        except subprocess.CalledProcessError as error:
            log = self.folder / "log"
            raise RuntimeError(f"PostgreSQL did not start: {error.stderr}{log.read_text()[-2000:] if log.exists() else ''}")

    def _children(self, pid):
        listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout
        return [int(child) for child in listed.split()]

    def _stop(self, how):
        pid = self.pid()
        processes = [pid, *self._children(pid)]
        for process in processes if how == signal.SIGKILL else [pid]:
            try:
                os.kill(process, how)
            except ProcessLookupError:
                pass
        end = time.monotonic() + 30
        while any(map(alive, processes)) and time.monotonic() < end:
            time.sleep(0.02)

    def segment(self):
        """The one file of the log that a server needs which was stopped in peace."""
        said = self._run(f"{binaries()}/pg_controldata", self.data).stdout
        return said.split("REDO WAL file:")[1].split()[0]

    def stop(self):
        if self.pid():
            self._stop(signal.SIGINT)

    def crash(self):
        """As a machine that crashes."""
        self._stop(signal.SIGKILL)
        # What was killed may be a zombie for a while, and PostgreSQL believes that it lives.
        for lock in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)

    def kill(self):
        """As a machine that crashes; then it starts again."""
        self.crash()
        self.start()

    def wait_until(self, query, answer):
        end = time.monotonic() + 20
        while (found := self.sql(query)) != answer:
            if time.monotonic() > end:
                raise AssertionError(f"{query}: {found}, never {answer}")
            time.sleep(0.02)

    def in_transaction(self, database):
        """Numbers of sessions that have waited within a transaction for a while: they are held there, and not on their way."""
        return [row[0] for row in self.sql("SELECT pid FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = "
                                           "current_database() AND state_change < clock_timestamp() - interval '1 s'", database)]

    def create_database(self):
        name = f"test_{next(self.databases)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name):
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, database, user="tranche", password=PASSWORD, others=()):
        """`others`: servers that may have taken over."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self, *others))
        return f"postgres://{user}:{password}@{hosts}/{database}?sslrootcert={self.folder}/ca.pem"

    def plain_url(self, database, port):
        """Without TLS: whoever stands at that port sees what is said."""
        return f"postgres://plain:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable"

    def client(self, database):
        """The command of a session that reads SQL from its input."""
        return [f"{binaries()}/psql", "-X", "-q", "-h", str(self.folder), "-p", str(self.port), "-U", "tranche", "-d", database]

    def sql(self, text, database="postgres"):
        """Rows as lists of text; NULL is \\N."""
        done = subprocess.run([f"{binaries()}/psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-P", "null=\\N", "-v",
                               "ON_ERROR_STOP=1", "-h", str(self.folder), "-p", str(self.port), "-U", "tranche", "-d", database,
                               "-c", text], capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{text[:200]}: {done.stderr}")
        out = done.stdout.removesuffix("\n")
        return [row.split("\x1f") for row in out.split("\x1e")] if out else []


class Standby(Postgres):
    """Follows `primary` by streaming replication over TLS, to take over where that crashes."""

    def __init__(self, primary):
        super().__init__(primary.durable)
        self.primary = primary

    def __enter__(self):
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, "postgres", "postgres")
            shutil.copy(self.primary.folder / "ca.pem", self.folder)
            place = f"host=127.0.0.1 port={self.primary.port} user=tranche password={PASSWORD} sslmode=verify-full sslrootcert={self.folder}/ca.pem"
            self._run(f"{binaries()}/pg_basebackup", "-D", self.data, "-d", f"{place} application_name={self.folder.name}", "-c", "fast", "-X",
                      "stream", "-R", "--no-sync")
            self._set("")
            with open(self.data / "postgresql.auto.conf", "a") as file:
                file.write("synchronous_standby_names = ''\n")  # of the primary
            self.start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def bind(self, together):
        """Whether a COMMIT of the primary waits for this one; said when it is so."""
        name = f"\"{self.folder.name}\"" if together else ""
        self.primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        self.primary.sql("SELECT pg_reload_conf()")
        self.primary.wait_until(f"SELECT sync_state FROM pg_stat_replication WHERE application_name = '{self.folder.name}'",
                                [["sync" if together else "async"]])

    def catch_up(self):
        now = self.primary.sql("SELECT pg_logical_emit_message(true, '', '')")[0][0]
        self.wait_until(f"SELECT pg_last_wal_replay_lsn() >= '{now}'", [["t"]])

    def cut_off(self):
        """What the primary commits from now on it does not get."""
        self.catch_up()
        self.sql("ALTER SYSTEM SET primary_conninfo = ''")
        self.sql("SELECT pg_reload_conf()")
        self.wait_until("SELECT 1 FROM pg_stat_wal_receiver", [])

    def promote(self):
        self._run(f"{binaries()}/pg_ctl", "-D", self.data, "-w", "-t", "60", "promote")
        self.databases = self.primary.databases
