"""The PostgreSQL that the conformance suite has started, with a database for each folder."""
import hashlib
import os

from servers.postgres import Postgres


def server():
    return Postgres.attach(*os.environ["TRANCHE_TEST_POSTGRES"].split(" "))


def database(folder):
    """Made at its first use."""
    name = "f" + hashlib.sha256(str(folder).encode()).hexdigest()[:20]
    if not server().sql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        server().sql(f"CREATE DATABASE {name}")
    return name


def url(folder):
    return server().url(database(folder))
