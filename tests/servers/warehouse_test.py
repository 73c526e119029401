#!/usr/bin/env python3
"""The example `warehouse`, as its README tells it, on real purchases, a real PostgreSQL and a real MariaDB.

    tests/servers/warehouse_test.py           every hundredth customer
    tests/servers/warehouse_test.py --all     all of them: after `examples/fetch retail`
"""
import argparse
import collections
import decimal
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
import duckdb  # noqa: E402

from harness.program import Program  # noqa: E402
from servers.mariadb import MariaDb  # noqa: E402
from servers.postgres import Postgres, binaries  # noqa: E402


def same(found, wanted, what):
    assert found == wanted, f"{what}: {len(found)} rows instead of {len(wanted)}, the first that differ: " \
                            f"{next(((f, w) for f, w in zip(found, wanted) if f != w), None)}"


def purchases(folder):
    """(customer, day, CDs, dollars), read without anything of ours."""
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text().splitlines()[1:]:
            day = line[7:15]
            yield int(line[1:6]), f"{day[:4]}-{day[4:6]}-{day[6:]}", int(line[15:18]), decimal.Decimal(line[18:].strip())


def by_customer(bought):
    own = collections.defaultdict(list)
    for purchase in bought:
        own[purchase[0]].append(purchase)
    return [[str(customer), str(len(rows)), min(row[1] for row in rows), max(row[1] for row in rows), f"{sum(row[3] for row in rows):.2f}"]
            for customer, rows in sorted(own.items())]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    toolset.add_program(parser)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    program = Program(options.program)
    with Postgres() as postgres, MariaDb() as mariadb, tempfile.TemporaryDirectory(dir=toolset.scratch()) as scratch:
        examples = pathlib.Path(scratch)
        shutil.copytree(toolset.ROOT / "examples/warehouse", examples / "warehouse", ignore=shutil.ignore_patterns("out", ".tranche"))
        shutil.copytree(toolset.ROOT / "examples/retail" / ("data" if options.all else "data-small"), examples / "retail/data")
        folder = examples / "warehouse"
        bought = sorted(purchases(examples / "retail/data"))
        small = [purchase for purchase in bought if purchase[3] <= 150]
        assert 0 < len(small) < len(bought)
        warehouse, shop = postgres.create_database(), mariadb.create_database()
        urls = {"WAREHOUSE_URL": postgres.url(warehouse), "SHOP_URL": mariadb.url(shop)}
        environment = toolset.environment(program.path, folder, **urls, TRANCHE=str(pathlib.Path(program.path).resolve()), DATA="../retail/data")
        environment["PATH"] = f"{binaries()}:{environment['PATH']}"
        subprocess.run([folder / "run"], check=True, env=environment, capture_output=True)

        def stored():
            return sorted((int(c), day, int(cds), decimal.Decimal(dollars)) for c, day, cds, dollars in
                          postgres.sql("SELECT customer, day, cds, dollars FROM purchases", warehouse))

        def customers():
            return mariadb.sql("SELECT customer, purchases, earliest, latest, dollars FROM customers ORDER BY customer", shop)

        same(stored(), small, "small purchases")
        same(customers(), by_customer(small), "customers")
        files = duckdb.sql(f"SELECT customer, purchases, earliest, latest, dollars, last_year FROM '{folder}/out/customers/**/*.parquet' "
                           "ORDER BY customer").fetchall()
        same([[str(value) for value in row] for row in files], [[*row, row[3][:4]] for row in customers()], "Parquet")
        refused = program.succeed(folder, "rejects", "list", "load.yaml", **urls)
        assert refused.count("is_looked_at") >= min(len(bought) - len(small), 10), refused

        proof = program.start(folder, "prove", "load.yaml", "--set", "data=../retail/data", "--kills", "3", "--rows", "1000", **urls)
        proved, said = proof.communicate(timeout=500)
        assert proof.returncode == 0, said + proved
        same(stored(), small, "after prove")

        postgres.sql("ALTER TABLE purchases DROP CONSTRAINT is_looked_at", warehouse)
        program.succeed(folder, "rejects", "retry", "load.yaml", **urls)
        program.succeed(folder, "run", "customers.yaml", **urls)
        same(stored(), bought, "with the large ones")
        same(customers(), by_customer(bought), "customers afterwards")
        program.succeed(folder, "run", "load.yaml", "--set", "data=../retail/data", **urls)
        same(stored(), bought, "after a night without new files")
    print(f"{len(bought)} purchases, {len(bought) - len(small)} refused and let in later")
    return 0


if __name__ == "__main__":
    sys.exit(main())
