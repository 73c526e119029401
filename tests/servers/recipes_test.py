#!/usr/bin/env python3
"""The recipes of docs/databases.md, as they stand there, against a real PostgreSQL and a real MariaDB.

    tests/servers/recipes_test.py
"""
import argparse
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402

from harness.program import Program  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres  # noqa: E402


def recipes():
    page = (toolset.ROOT / "docs/databases.md").read_text()
    return {re.match(r"job: (\S+)", text).group(1): text for text in re.findall(r"```yaml\n(job: .*?)```", page, re.DOTALL)}


def same(found, wanted):
    assert found == wanted, f"{found} is not {wanted}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    program = Program(parser.parse_args().program)
    with Postgres() as postgres, MariaDb() as mariadb, tempfile.TemporaryDirectory(dir=toolset.scratch()) as scratch:
        folder = pathlib.Path(scratch)
        warehouse, shop = postgres.create_database(), mariadb.create_database()
        urls = {"WAREHOUSE_URL": postgres.url(warehouse), "SHOP_URL": mariadb.url(shop)}
        ran = recipes()
        for name, text in ran.items():
            (folder / f"{name}.yaml").write_text(text)

        def run(name, *more):
            program.succeed(folder, "run", f"{name}.yaml", *more, **urls)

        postgres.sql("CREATE TABLE orders (order_id bigint PRIMARY KEY, amount numeric(12,2) CHECK (amount > 0), ordered_at timestamp)", warehouse)
        (folder / "orders").mkdir()
        (folder / "orders/1.csv").write_text("order_id,amount,ordered_at\n" + "".join(
            f"{i},{i / 4 - 1:.2f},2026-0{i % 3 + 4}-01 10:00:00\n" for i in range(1, 101)))
        run("load-orders")
        same(postgres.sql("SELECT count(*), min(order_id) FROM orders", warehouse), [["96", "5"]])
        postgres.sql("ALTER TABLE orders DROP CONSTRAINT orders_amount_check", warehouse)
        program.succeed(folder, "rejects", "retry", "load-orders.yaml", **urls)
        same(postgres.sql("SELECT count(*) FROM orders", warehouse), [["100"]])

        run("export-sales", "--set", "since=2026-05-01")
        same(duckdb.sql(f"SELECT day::VARCHAR, orders FROM '{folder}/sales/**/*.parquet' ORDER BY day").fetchall(),
             [("2026-05-01", 34), ("2026-06-01", 33)])

        mariadb.sql("CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(40), updated_at datetime(6)); INSERT INTO customers "
                    "SELECT seq, concat('c', seq), timestamp '2026-01-01 00:00:00' + interval seq minute FROM seq_1_to_500", shop)
        run("copy-customers")
        mariadb.sql("UPDATE customers SET name = 'changed', updated_at = '2026-02-01 00:00:00' WHERE id < 4; INSERT INTO customers VALUES "
                    "(501, 'new', '2026-02-01 00:00:01')", shop)
        run("copy-customers")
        same(postgres.sql("SELECT count(*), count(*) FILTER (WHERE name = 'changed') FROM customers", warehouse), [["501", "3"]])

        mariadb.sql("CREATE TABLE orders (id bigint); INSERT INTO orders SELECT seq FROM seq_1_to_40; CREATE TABLE product_1 (id bigint); "
                    "CREATE TABLE product_2 (id bigint); INSERT INTO product_2 VALUES (7)", shop)
        postgres.sql("CREATE SCHEMA shop", warehouse)
        run("copy-shop")
        mariadb.sql("INSERT INTO orders VALUES (41)", shop)
        run("copy-shop", "--set", "table=orders")
        same(postgres.sql("SELECT (SELECT count(*) FROM shop.customers), (SELECT count(*) FROM shop.orders), (SELECT count(*) FROM "
                          "shop.product_1), (SELECT count(*) FROM shop.product_2)", warehouse), [["501", "41", "0", "1"]])

        postgres.sql("CREATE TABLE accounts (id bigint PRIMARY KEY, owner text); INSERT INTO accounts VALUES (1, 'a'), (2, 'b')", warehouse)
        (folder / "changes").mkdir()
        (folder / "changes/1.csv").write_text("seq,op,id,owner\n3,U,3,cc\n1,I,3,c\n2,D,1,\n4,U,2,bb\n")
        run("apply-changes")
        (folder / "changes/2.csv").write_text("seq,op,id,owner\n5,D,3,\n6,I,1,aa\n")
        run("apply-changes")
        same(postgres.sql("SELECT id, owner FROM accounts ORDER BY id", warehouse), [["1", "aa"], ["2", "bb"]])

        for count in (50, 20):
            (folder / "prices.csv").write_text("article,price\n" + "".join(f"a{i},{i}.5\n" for i in range(count)))
            run("prices-of-today")
            same(postgres.sql("SELECT count(*) FROM prices", warehouse), [[str(count)]])
            same(mariadb.sql("SELECT count(*) FROM prices", shop), [[str(count)]])
        same(sorted(ran), ["apply-changes", "copy-customers", "copy-shop", "export-sales", "load-orders", "prices-of-today"])
    print(f"{len(ran)} recipes ran")
    return 0


if __name__ == "__main__":
    sys.exit(main())
