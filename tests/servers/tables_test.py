#!/usr/bin/env python3
"""Jobs that run once a table, from MariaDB to PostgreSQL and from PostgreSQL to Parquet: killed, refused, with names of all kinds.

    tests/servers/tables_test.py              all
    tests/servers/tables_test.py -k hostile   the tests with that in their name
"""
import contextlib
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres  # noqa: E402
from servers.suite import main  # noqa: E402

COPY = """\
job: copy-shop
collect: {shop: {mariadb: {url: "${secret:SHOP_URL}", table: [customers, orders, "product_*"]}}}
store: {copy: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "shop.${table}", mode: MODE}}}
"""
SHOP = """\
CREATE TABLE orders (id int, note varchar(20)); INSERT INTO orders SELECT seq, concat('o', seq) FROM seq_1_to_300;
CREATE TABLE customers (id int, name varchar(20)); INSERT INTO customers SELECT seq, concat('c', seq) FROM seq_1_to_200;
CREATE TABLE product_b (id int); INSERT INTO product_b SELECT seq FROM seq_1_to_30;
CREATE TABLE product_a (id int); INSERT INTO product_a SELECT seq FROM seq_1_to_20;
CREATE TABLE product_b__tranche_12345678 (id int); CREATE TABLE others (id int); CREATE VIEW product_seen AS SELECT 1 AS id
"""
COUNTS = [["200", "300", "20", "30"]]


class Servers:
    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.postgres, self.mariadb = stack.enter_context(Postgres()), stack.enter_context(MariaDb())
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)


class Case:
    """A folder, and a database on each server."""

    def __init__(self, program, servers):
        self.program, self.servers = program, servers
        self.warehouse, self.shop = servers.postgres.create_database(), servers.mariadb.create_database()
        self.urls = {"WAREHOUSE_URL": servers.postgres.url(self.warehouse), "SHOP_URL": servers.mariadb.url(self.shop)}

    def __enter__(self):
        self.holder = tempfile.TemporaryDirectory(dir=toolset.scratch())
        self.folder = pathlib.Path(self.holder.name)
        return self

    def __exit__(self, *error):
        self.holder.cleanup()

    def job(self, text):
        (self.folder / "job.yaml").write_text(text)

    def postgres(self, sql):
        return self.servers.postgres.sql(sql, self.warehouse)

    def mariadb(self, sql):
        return self.servers.mariadb.sql(sql, self.shop)

    def run(self, *more, **how):
        """What it said; it must have ended well."""
        code, out, err = self.program.run(self.folder, "run", "job.yaml", *more, **self.urls, **how)
        assert code == 0, f"exit code {code}; it said\n{err}{out}"
        return err

    def counts(self):
        return self.postgres("SELECT (SELECT count(*) FROM shop.customers), (SELECT count(*) FROM shop.orders), "
                             "(SELECT count(*) FROM shop.product_a), (SELECT count(*) FROM shop.product_b)")

    def order(self, said):
        return [line.split("table=")[1].split(" job=")[0] for line in said.splitlines() if " begins with " in line or " resumes with " in line]


def same(one, other):
    assert one == other, f"{str(one)[:700]}\nis not\n{str(other)[:700]}"


def a_list_with_a_pattern(program, servers):
    with Case(program, servers) as case:
        case.mariadb(SHOP)
        case.postgres("CREATE SCHEMA shop")
        case.job(COPY.replace("MODE", "replace"))
        said = case.run()
        same(case.order(said), ["customers", "orders", "product_a", "product_b"])
        assert said.endswith("4 tables are done\n"), said
        same(case.counts(), COUNTS)
        same(case.postgres("SELECT count(DISTINCT job_key), count(*) FROM shop.tranche_run WHERE state = 'finished'"), [["4", "4"]])
        case.mariadb("INSERT INTO orders VALUES (999, 'new')")
        same(case.order(case.run("--set", "table=orders")), ["orders"])
        same(case.postgres("SELECT count(*) FROM shop.orders"), [["301"]])
        out = case.program.succeed(case.folder, "status", "job.yaml", **case.urls)
        assert out.count("agrees") == 4 and "differs" not in out, out
        out = case.program.succeed(case.folder, "plan", "job.yaml", **case.urls)
        assert out.startswith("runs once for each of these tables: customers, orders, product_a, product_b\n"), out
        case.job(COPY.replace("MODE", "replace").replace("[customers, orders", "[shop.*, custmers, orders"))
        case.program.fail(case.folder, 2, "the tables of a list are of one schema", "run", "job.yaml", **case.urls)
        case.job(COPY.replace("MODE", "replace").replace("[customers, orders", "[custmers, product_s*, orders"))
        case.program.fail(case.folder, 2, f"there is no table 'custmers' in 127.0.0.1/{case.shop}; did you mean 'customers'?",
                          "run", "job.yaml", **case.urls)
        case.program.fail(case.folder, 2, "matches 'product_s*'; views and partitions are read where they are named",
                          "run", "job.yaml", **case.urls)


def killed_anywhere(program, servers):
    """Every place that a run of the four tables comes by in the ledger, at a table of its own; rows are appended, so a table that
    was done twice would show."""
    places = ("batch.committed@2", "ledger.finished@3", "run.finished@1", "run.finished@4")
    for place in places:
        with Case(program, servers) as case:
            case.mariadb(SHOP)
            case.postgres("CREATE SCHEMA shop")
            case.job(COPY.replace("MODE", "append"))
            assert program.kill(case.folder, "run", "job.yaml", failpoint=place, **case.urls), f"{place} was not reached"
            if not place.startswith("run.finished"):
                program.kill(case.folder, "run", "job.yaml", failpoint="run.finished", **case.urls)
            case.run()
            assert case.counts() == COUNTS, f"killed at {place}: {case.counts()}"
            assert not (case.folder / ".tranche/copy-shop/tables.json").exists()
    return f"{len(places)} places"


def one_table_fails(program, servers):
    with Case(program, servers) as case:
        case.mariadb(SHOP)
        case.postgres("CREATE SCHEMA shop; CREATE TABLE shop.orders (id int CHECK (id <> 7), note text); "
                      "CREATE TABLE shop.product_a (id int, must int NOT NULL)")
        case.job(COPY.replace("MODE", "append"))
        program.fail(case.folder, 2, "2 of 4 tables are done, and not 'orders' (exit code 3), 'product_a' (exit code 2); mend what is "
                     "said above, and run the job again: it does only what is not done", "run", "job.yaml", **case.urls)
        case.postgres("ALTER TABLE shop.product_a DROP must")
        program.fail(case.folder, 3, "3 of 4 tables are done, and not 'orders' (exit code 3)", "run", "job.yaml", **case.urls)
        out = program.succeed(case.folder, "rejects", "list", "job.yaml", "--set", "table=orders", **case.urls)
        assert "no rejects" in out or "orders_id_check" in out or out == "", out
        case.postgres("ALTER TABLE shop.orders DROP CONSTRAINT orders_id_check")
        said = case.run()
        same(case.order(said), ["orders"])
        same(case.counts(), COUNTS)
        case.run()
        same(case.counts(), [[str(2 * int(count)) for count in COUNTS[0]]])


def a_mark_for_each_table(program, servers):
    with Case(program, servers) as case:
        case.mariadb(SHOP)
        case.postgres("CREATE SCHEMA shop")
        case.job(COPY.replace("MODE", "append").replace("]}}}", "]}, incremental: id}}"))
        case.run()
        case.mariadb("INSERT INTO product_a VALUES (21), (22); INSERT INTO customers VALUES (201, 'c201')")
        said = case.run()
        same(case.order(said), ["customers", "product_a"])
        assert "table 'orders': nothing new since run 2" in said, said
        same(case.counts(), [["201", "300", "22", "30"]])


NAMES = ["it's \"b\"", "a b.c", "Größe ‱", "a*?[x]", "MiXed", "mixed", "x; DROP TABLE y", "${env:HOME} $$ \\*"]


def hostile_names(program, servers):
    """Through a server and back, and into files."""
    def quoted(name):
        return '"' + name.replace('"', '""') + '"'
    with Case(program, servers) as case:
        for i, name in enumerate(NAMES):
            case.postgres(f"CREATE TABLE {quoted(name)} (id int); INSERT INTO {quoted(name)} VALUES ({i})")
        case.job('job: out\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", schema: public, table: "*"}}}\nstore:\n'
                 '  files: {parquet: {path: "out/${table}.parquet"}}\n'
                 '  copy: {mariadb: {url: "${secret:SHOP_URL}", schema: "%s", table: "${table}", mode: replace}}\n' % case.shop)
        case.run()
        case.postgres("CREATE SCHEMA back")
        case.job('job: back\ncollect: {rows: {mariadb: {url: "${secret:SHOP_URL}", schema: "%s", table: "*"}}}\n'
                 'store: {back: {postgres: {url: "${secret:WAREHOUSE_URL}", schema: back, table: "${table}", mode: replace}}}\n' % case.shop)
        case.run()
        for i, name in enumerate(NAMES):
            same(case.postgres(f"SELECT id FROM back.{quoted(name)}"), [[str(i)]])
            (case.folder / "one.parquet").write_bytes((case.folder / f"out/{name}.parquet").read_bytes())
            same(duckdb.sql(f"SELECT id FROM '{case.folder}/one.parquet'").fetchall(), [(i,)])
        case.job('job: dots\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "*"}}}\n'
                 'store: {files: {parquet: {path: "out/${table}.parquet"}}}\n')
        program.fail(case.folder, 2, "table 'a b.c' has a dot in its name; write schema: beside `table`", "run", "job.yaml", **case.urls)
        case.job('job: case\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "m?xed"}}}\n'
                 'store: {out: {sqlite: {path: out.db, table: "${table}", mode: replace}}}\n')
        same(case.order(case.run()), ["mixed"])
        case.job('job: case2\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "[mM]*"}}}\n'
                 'store: {out: {sqlite: {path: out.db, table: "${table}", mode: replace}}}\n'.replace('"[mM]*"', '["m*", "M*"]'))
        program.fail(case.folder, 2, "tables 'mixed' and 'MiXed' would be stored in the same place by store 'out'", "run", "job.yaml", **case.urls)
        case.postgres('CREATE TABLE "../up" (id int)')
        case.job('job: up\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", schema: public, table: "*"}}}\n'
                 'store: {files: {parquet: {path: "up/${table}.parquet"}}}\n')
        program.fail(case.folder, 2, "table '../up' cannot stand in a path", "run", "job.yaml", **case.urls)
        assert not (case.folder / "up").exists()
    return f"{len(NAMES)} names"


def schemas_views_and_partitions(program, servers):
    with Case(program, servers) as case:
        case.postgres("CREATE SCHEMA crm; CREATE TABLE crm.people AS SELECT 1 AS id; CREATE TABLE people AS SELECT 2 AS id; CREATE VIEW crm.seen "
                      "AS SELECT 3 AS id; CREATE TABLE crm.parted (id int) PARTITION BY RANGE (id); CREATE TABLE crm.parted_1 PARTITION OF crm.parted "
                      "FOR VALUES FROM (0) TO (10); INSERT INTO crm.parted VALUES (4), (5); CREATE TABLE crm.tranche_run (x int)")
        store = '\nstore: {out: {csv: {path: "NAME/${table}.csv"}}}\n'

        def files(name):
            return {file.stem: file.read_text().split()[1:] for file in sorted((case.folder / name).glob("*.csv"))}
        case.job('job: a\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: ["crm.*", crm.seen]}}}' + store.replace("NAME", "a"))
        case.run()
        same(files("a"), {"parted": ["4", "5"], "people": ["1"], "seen": ["3"]})
        case.job('job: b\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "*"}}}' + store.replace("NAME", "b"))
        case.run()
        same(files("b"), {"people": ["2"]})
        case.postgres(f'ALTER DATABASE "{case.warehouse}" SET search_path = crm, public; CREATE TABLE public.elsewhere AS SELECT 6 AS id')
        case.job('job: c\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: ["peo*", elsewhere]}}}' + store.replace("NAME", "c"))
        case.run()
        same(files("c"), {"people": ["1"], "elsewhere": ["6"]})
        case.job('job: d\ncollect: {rows: {postgres: {url: "${secret:WAREHOUSE_URL}", table: "cms.*"}}}' + store.replace("NAME", "d"))
        program.fail(case.folder, 2, "there is no schema 'cms'", "run", "job.yaml", **case.urls)


def a_server_that_is_away(program, servers):
    with Case(program, servers) as case:
        case.job(COPY.replace("MODE", "replace").replace("]}}}", "]}, retry: {attempts: 2, backoff: 10ms..20ms}}}"))
        urls = {**case.urls, "SHOP_URL": "mariadb://nobody@127.0.0.1:1/shop"}
        program.fail(case.folder, 1, "job.yaml:2:62: 127.0.0.1/shop: cannot connect", "run", "job.yaml", **urls)


TESTS = (a_list_with_a_pattern, killed_anywhere, one_table_fails, a_mark_for_each_table, hostile_names, schemas_views_and_partitions,
         a_server_that_is_away)

if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Servers))
