#!/usr/bin/env python3
"""`tranche prove` for stores of a database server: trials in schemas of their own, beside real tables that stay as
they are.

    tests/servers/prove_test.py              all
    tests/servers/prove_test.py -k schema    the tests with that in their name
"""
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers.postgres import PASSWORD, Postgres  # noqa: E402
from servers.postgres_test import Case, held_before_commit  # noqa: E402
from servers.suite import main  # noqa: E402

SECONDS = 600
TABLE = """
CREATE SCHEMA shop; CREATE SCHEMA "a.b"; CREATE TYPE shop.mood AS ENUM ('good', 'bad');
CREATE TABLE shop.other (id bigint PRIMARY KEY); INSERT INTO shop.other SELECT generate_series(-10, 2000);
CREATE TABLE shop.t (number bigserial, twin int GENERATED ALWAYS AS IDENTITY, id bigint PRIMARY KEY REFERENCES shop.other,
    k int NOT NULL, amount int CHECK (amount < 985), note varchar(12), mood shop.mood DEFAULT 'good',
    code text DEFAULT 'A' || nextval('shop.t_number_seq'), double int GENERATED ALWAYS AS (amount * 2) STORED);
INSERT INTO shop.t (id, k, amount, note) SELECT -i, i, i, 'mine' FROM generate_series(1, 9) i;
INSERT INTO shop.t (id, k, amount, note) VALUES (7, 7, 7, 'mine');
CREATE FUNCTION shop.forbid() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'the real table was written'; END$$;
CREATE TRIGGER forbid BEFORE INSERT OR UPDATE OR DELETE ON shop.t FOR EACH ROW EXECUTE FUNCTION shop.forbid();
"""
JOB = """\
job: trial
collect: {rows: {csv: {path: data.csv, types: {id: bigint, k: integer, amount: integer, note: text}}}}
store:
  kept: {postgres: {url: "${secret:DATABASE_URL}", table: shop.t, mode: upsert, key: [id]}}
  made: {postgres: {url: "${secret:DATABASE_URL}", table: 'my "t', schema: a.b, mode: replace}}
rejects: 20
"""
# Like the table of a store that loses what it was given: from the second start of a run on.
BROKEN = """
CREATE FUNCTION lose(id bigint) RETURNS boolean LANGUAGE plpgsql AS $$DECLARE starts int; BEGIN
    SELECT max(epoch) INTO starts FROM tranche_run; RETURN starts < 2 OR id <> 30; END$$;
CREATE TABLE t (id bigint CHECK (lose(id)), k int, amount int, note text);
"""


def prove(case, wanted, *arguments):
    process = case.program.start(case.folder, "prove", "job.yaml", "--seed", "1", *arguments, **case.environment)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == wanted, f"exit code {process.returncode}, not {wanted}; it said\n{err}{out}"
    assert PASSWORD not in out + err, "the password was shown"
    return out, err


def schemas(case):
    return case.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tranche%'")


def proves(program, server):
    """A table with a key, checks, sequences, a foreign key, a trigger that refuses all, and rows; and one that is not
    there, with a dot and a quote in its names."""
    with Case(program, server) as case:
        case.sql(TABLE)
        case.write([[i, i % 5, 990 if i % 20 == 3 else i, f"note {i}"] for i in range(60)])
        (case.folder / "job.yaml").write_text(JOB)
        looks = ("SELECT * FROM shop.t ORDER BY id", "SELECT last_value FROM shop.t_number_seq",
                 "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname !~ '^pg_'"
                 " ORDER BY 1, 2")
        before = [case.sql(look) for look in looks]
        out, _ = prove(case, 0, "--json", "--kills", "5")
        said = json.loads(out)
        assert said["proved"] and said["failed"] == 0 and not said["problems"], out
        places = {entry["place"] for entry in said["places"]}
        for place in ("batch.claimed", "batch.written", "batch.before_commit", "batch.committed", "replace.swapped",
                      "ledger.finished", "resume.gaps", "a random moment"):
            assert place in places, f"it was not killed at {place}"
        left_out = {entry["name"]: entry["left_out"] for entry in said["stores"]}
        assert left_out == {"kept": ["code", "number", "twin"], "made": []}, left_out
        assert before == [case.sql(look) for look in looks], "the database was changed"
        print(f"   {said['trials']} trials, {said['kills']} kills", flush=True)


def a_broken_table_is_not_proved(program, server):
    """Beside a run of the same job, which goes on: its sessions and its lock are none of a trial's."""
    with Case(program, server) as case:
        case.sql(BROKEN)
        given = [[i, i, i, "n"] for i in range(40)]
        case.write(given)
        case.job(batch="rows: 10")
        beside = held_before_commit(program, case, 2)
        beside.send_signal(signal.SIGSTOP)
        try:
            out, _ = prove(case, 3, "--kills", "0")
            assert "NOT PROVED" in out and "store 'out': 1 row is lost" in out, out
            kept = schemas(case)
            assert 0 < len(kept) <= 3, f"schemas that were kept: {kept}"
            assert case.sql("SELECT count(*) FROM t") == [["10"]], "the real table was changed"
        finally:
            beside.send_signal(signal.SIGCONT)
        _, err = beside.communicate(timeout=60)
        assert beside.returncode == 0, f"exit code {beside.returncode} of the run beside; it said\n{err}"
        case.expect(given)


def refusals(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text); CREATE UNLOGGED TABLE u (id bigint)")
        case.write([[i, i, i, "n"] for i in range(16)])
        for store, words in (("table: t, before: DELETE FROM t", ("prove does not run 'before'", "job.yaml:")),
                             ("table: t, after: DELETE FROM t", ("prove does not run 'after'", "job.yaml:")),
                             ("table: u", ("it is UNLOGGED",)),
                             ("table: none.t", ("there is no schema 'none'",))):
            case.job(store)
            _, err = prove(case, 2)
            assert all(word in err for word in words), err
        # What was made before an error goes too.
        case.job("table: t, columns: strict", rejects=0)
        case.write([["x", 1, 1, "n"], *([i, i, i, "n"] for i in range(16))])
        case.write([[1, 1, 1, "n", 1]], ("id", "k", "amount", "note", "more"))
        prove(case, 2)
        assert not schemas(case), f"left behind: {schemas(case)}"


def no_right_to_make_a_schema(program, server):
    with Case(program, server) as case:
        case.sql("DROP ROLE IF EXISTS loader")
        case.sql(f"CREATE ROLE loader LOGIN PASSWORD '{PASSWORD}'; CREATE TABLE t (id bigint, k int, amount int, note text); "
                 "GRANT ALL ON TABLE t TO loader")
        case.environment = {"DATABASE_URL": server.url(case.database, "loader")}
        case.write([[i, i, i, "n"] for i in range(16)])
        case.job()
        _, err = prove(case, 2)
        for word in ("this user may not make one", f"GRANT CREATE ON DATABASE {case.database} TO loader"):
            assert word in err, err


TESTS = (proves, a_broken_table_is_not_proved, refusals, no_right_to_make_a_schema)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, Postgres))
