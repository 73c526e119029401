"""The database servers that the conformance suite has started, with a database for each folder.

    places = Places(Postgres)
    places.url(folder)
"""
import hashlib
import os


class Places:
    def __init__(self, kind):
        self.kind = kind

    def server(self):
        return self.kind.attach(*os.environ[f"TRANCHE_TEST_{self.kind.connector.upper()}"].split(" "))

    def database(self, folder):
        """Made at its first use."""
        name = "f" + hashlib.sha256(str(folder).encode()).hexdigest()[:20]
        if [name] not in self.server().sql(self.kind.databases_query):
            self.server().sql(f"CREATE DATABASE {name}")
        return name

    def url(self, folder):
        return self.server().url(self.database(folder))

    def sql(self, folder, text):
        return self.server().sql(text, self.database(folder))
