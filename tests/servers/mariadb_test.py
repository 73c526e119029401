#!/usr/bin/env python3
"""The store `mariadb` against a real MariaDB over TLS. What it must do as `postgres` does is said in postgres_test.py.

    tests/servers/mariadb_test.py              all
    tests/servers/mariadb_test.py -k upsert    the tests with that in their name
"""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import toolset  # noqa: E402

toolset.use()
from servers import postgres_test as shared  # noqa: E402
from servers.faults_test import Session, wait_for  # noqa: E402
from servers.mariadb import NULL, MariaDb  # noqa: E402
from servers.postgres_test import Case, check, made, rows  # noqa: E402
from servers.suite import main  # noqa: E402


def nothing_is_stored_changed(program, server):
    """6 of the protocol. What MariaDB would cut, round or fill up, with a note or without a word, is a reject; the value beside it is stored."""
    pairs = {
        "datetime(3)": ("TIMESTAMP '2026-01-01 00:00:00.123'", "TIMESTAMP '2026-01-01 00:00:00.1234'"),
        "datetime": ("TIMESTAMP '2026-01-01 00:00:00'", "TIMESTAMP '2026-01-01 00:00:00.5'"),
        "date": ("DATE '0001-01-01'", "DATE '10000-01-01'"),
        "int": ("1.0::double", "1.5::double"),
        "tinyint unsigned": ("255", "256"),
        "decimal(5,2)": ("123.45::double", "123.456::double"),
        "varchar(3)": ("'abc'", "'ab  '"),
        "char(3)": ("'ab'", "'ab '"),
        "enum('one','two')": ("'two'", "'2'"),
        "set('a','b','c{}')": ("'a,c{}'", "'a,d'"),
        "set('a','b')": ("''", "'b,a'"),
        "enum('a{b}','{')": ("'{'", "'}'"),
        "binary(3)": ("'abc'::blob", "'ab'::blob"),
        "float": ("0.5::double", "'nan'::double"),
        "varchar(9) character set latin1": ("'ü'", "'🚀'"),
        "timestamp": ("TIMESTAMP '2026-01-01 00:00:00'", "TIMESTAMP '1960-01-01 00:00:00'"),
        "time(1)": ("TIME '01:02:03.4'", "TIME '01:02:03.45'"),
        "year": ("2026", "26"),
        "decimal(50,2)": ("'1.23'", "'1.239'"),
        "tinytext": ("repeat('x', 255)", "repeat('x', 256)"),
        "uuid": ("'00112233-4455-6677-8899-aabbccddeeff'", "'nonsense'"),
        "json": ("'[1]'", "'[1'"),
        "bit(3)": (None, "'1'"),
    }
    for kind, (good, bad) in pairs.items():
        with Case(program, server) as case:
            case.sql(f"CREATE TABLE t (id int, v {kind})")
            case.write([[1, 1, 1, "x"]])
            (case.folder / "q.sql").write_text((f"SELECT 1 AS id, {good} AS v FROM rows UNION ALL " if good else "") +
                                               f"SELECT 2 AS id, {bad} AS v FROM rows")
            case.job(more="prepare: [{sql: {path: q.sql}}]\n", rejects=5)
            case.succeed()
            found = [row[0] for row in case.sql("SELECT id FROM t")]
            assert found == (["1"] if good else []), f"{kind}: rows {case.sql('SELECT * FROM t')}, rejects {case.rejected()}"
            assert len(case.rejected()) == 1, f"{kind}: {case.rejected()}"


def types_round_trip(program, server):
    select = ("SELECT i AS n, (i - 2)::tinyint a, 18446744073709551615::ubigint - i b, -12345678901234567890123456789012345678"
              "::hugeint + i c, (i / 7.0)::decimal(12,2) d, (1e30 * i)::double e, i / 4.0::float f, 'ü🚀''\"\\' || i g, "
              "('\\x00\\xff'::blob) h, DATE '0001-01-01' + i::int j, TIMESTAMP '1969-12-31 23:59:59.123456' + INTERVAL (i) DAY l, "
              "TIMESTAMPTZ '2026-03-29 01:30:00.5+02' m, TIME '23:59:59.999999' o, uuid '00112233-4455-6677-8899-aabbccddeeff' p, "
              "[i, NULL, 3] q, i % 2 = 0 u, '{\"k\": 1}'::json v, NULL::integer y, "
              "'1234567890123456789012345678.0123456789'::decimal(38,10) z FROM range(3) r(i) JOIN rows ON true")
    with Case(program, server) as case:
        case.write([[1, 1, 1, "x"]])
        (case.folder / "q.sql").write_text(select)
        case.job(more="prepare: [{sql: {path: q.sql}}]\n")
        case.succeed()
        assert not case.rejected(), case.rejected()
        found = case.sql("SELECT a, b, c, d, e, f, g, hex(h), j, l, m, o, p, q, u, v, y, z FROM t WHERE n = 2")
        assert found == [["0", "18446744073709551613", "-12345678901234567890123456789012345676", "0.29", "2e30", "0.5",
                          "ü🚀'\"\\2", "00FF", "0001-01-03", "1970-01-02 23:59:59.123456", "2026-03-28 23:30:00.500000",
                          "23:59:59.999999", "00112233-4455-6677-8899-aabbccddeeff", "[2,null,3]", "1", '{"k": 1}', NULL,
                          "1234567890123456789012345678.0123456789"]], found


def keys_are_judged_by_their_collation(program, server):
    """Two spellings are one key for a table that says so; the last one in order wins, and the counts say so."""
    for collation, wanted in (("utf8mb4_general_ci", [["1", "b"], ["2", "C"]]),
                              ("utf8mb4_nopad_bin", [["0", "B"], ["1", "b"], ["2", "C"]])):
        with Case(program, server) as case:
            case.sql(f"CREATE TABLE t (id bigint, k int, amount int, note varchar(20) COLLATE {collation} PRIMARY KEY)")
            case.write([[0, 0, 0, "B"], [1, 0, 0, "b"], [2, 0, 0, "C"]])
            case.job("table: t, mode: upsert, key: [note]")
            case.succeed()
            found = case.sql("SELECT id, note FROM t ORDER BY id")
            assert found == wanted, f"{collation}: {found}"
            counts = case.sql("SELECT sent, stored, superseded FROM tranche_run")
            assert counts == [["3", str(len(wanted)), str(3 - len(wanted))]], f"{collation}: {counts}"


def another_unique_key_is_a_reject(program, server):
    """ON DUPLICATE KEY would overwrite the row that another key names."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int PRIMARY KEY, amount int UNIQUE, note text); INSERT INTO t VALUES (0, 1, 7, 'mine')")
        case.write([[1, 2, 7, "thief"], [2, 3, 8, "new"], [3, 1, 9, "changed"]])
        case.job("table: t, mode: upsert, key: [k]")
        case.succeed()
        case.expect([[3, 1, 9, "changed"], [2, 3, 8, "new"], [1, 2, 7, "thief"]])  # all at once: 7 was free by then
        case.write([[4, 4, 8, "thief"], [5, 5, 11, "new"]])
        case.succeed()
        case.expect([[3, 1, 9, "changed"], [2, 3, 8, "new"], [1, 2, 7, "thief"], [5, 5, 11, "new"]])
        case.expect_rejects([4])


def a_signal_in_a_trigger(program, server):
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text)")
        server.sql("CREATE TRIGGER no_threes BEFORE INSERT ON t FOR EACH ROW IF NEW.id % 500 = 3 THEN SIGNAL SQLSTATE '45000' SET "
                 "MESSAGE_TEXT = 'no threes here'; END IF", case.database, delimiter="$$")
        given = rows(2, bad=False)
        case.write(given)
        case.job()
        case.succeed()
        case.expect([row for row in given if row[0] % 500 != 3])
        case.expect_rejects([row[0] for row in given if row[0] % 500 == 3])
        assert all("no threes here" in reject["reason"] for reject in case.rejected())


def answer_to_commit_is_lost(program, server):
    for point in ("batch.before_commit:hold@2", "batch.written:hold@3", "batch.committed:hold@2"):
        case, wanted, bad = made(program, server, "append", batch="rows: 500")
        with case:
            process = program.start(case.folder, "run", "job.yaml", failpoint=point, **case.environment)
            end = time.monotonic() + 9
            found = []
            while not found and time.monotonic() < end:
                time.sleep(0.1)
                if "committed" in point:
                    if case.sql("SELECT count(*) FROM information_schema.tables WHERE table_name = 'tranche_batch' AND table_schema = "
                                "database()") == [["1"]] and int(case.sql("SELECT count(*) FROM tranche_batch")[0][0]) >= 2:
                        found = [row[0] for row in case.sql("SELECT id FROM information_schema.processlist WHERE db = database() AND "
                                                            "user = 'tranche'")]
                else:
                    found = server.in_transaction(case.database)
            assert found, "no session was in a transaction"
            for session in found:
                try:
                    case.sql(f"KILL {session}")
                except AssertionError:
                    pass  # it has gone
            process.communicate(timeout=60)
            case.finish()
            check(case, wanted, bad)


def a_deadlock_is_tried_again(program, server):
    """The server ends the transaction that has changed less, ours, for another one: all of it comes again."""
    count = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
    with Case(program, server) as case:
        case.sql("CREATE TABLE ballast (n int); INSERT INTO ballast VALUES " + ", ".join(f"({i})" for i in range(5000)) + "; CREATE TABLE t "
                 "(id bigint, k int PRIMARY KEY, amount int, note text); INSERT INTO t VALUES " +
                 ", ".join(f"({i}, {i}, 0, 'old')" for i in range(100)))
        given = [[i, i, 1, "new"] for i in range(100)]
        case.write(given)
        case.job("table: t, mode: upsert, key: [k]")
        before = int(case.sql(count)[0][0])
        with Session(server, case.database) as other:
            other.say("BEGIN; UPDATE ballast SET n = n + 1; UPDATE t SET amount = 7 WHERE k = 90")
            wait_for(case, "SELECT 1 FROM information_schema.innodb_trx WHERE trx_rows_modified > 5000 AND trx_query IS NULL")
            process = program.start(case.folder, "run", "job.yaml", **case.environment)
            wait_for(case, "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'")
            other.say("UPDATE t SET amount = 7 WHERE k = 10; COMMIT")
            _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert int(case.sql(count)[0][0]) == before + 1, "no deadlock"
        case.expect(given)


def replace_is_one_step(program, server):
    with Case(program, server) as case:
        given = rows(3, bad=False)
        case.write(given)
        case.job("table: u, mode: replace")
        case.succeed()
        case.sql("ALTER TABLE u ADD INDEX (k)")
        seen, stop = set(), threading.Event()

        def look():
            while not stop.is_set():
                seen.add(case.sql("SELECT count(*) FROM u")[0][0])
        thread = threading.Thread(target=look)
        thread.start()
        try:
            case.write(given[:1000])
            case.succeed()
        finally:
            stop.set()
            thread.join()
        assert seen <= {"3000", "1000"}, f"a reader saw {seen} rows"
        case.sql("ALTER TABLE u COMMENT = 'of today'")
        case.succeed("--again")
        comment = case.sql("SELECT table_comment FROM information_schema.tables WHERE table_name = 'u' AND table_schema = database()")[0][0]
        assert comment.startswith("of today [tranche run ") and comment.count("[") == 1, comment
        assert case.sql("SELECT count(*) FROM information_schema.statistics WHERE table_name = 'u'  AND table_schema = database()") == [["1"]]
        assert program.kill(case.folder, "run", "job.yaml", "--again", failpoint="replace.renamed", **case.environment)
        case.finish()
        left = [row[0] for row in case.sql("SHOW TABLES")]
        assert sorted(left) == ["tranche_batch", "tranche_reject", "tranche_run", "u"], left
        case.sql("CREATE TRIGGER some BEFORE INSERT ON u FOR EACH ROW SET NEW.note = NEW.note")
        code, out, err = case.run("--again")
        assert code == 2 and "foreign keys or triggers" in err, f"exit code {code}; it said\n{err}{out}"
        case.sql("DROP TRIGGER some; ALTER TABLE u ADD UNIQUE (id)")
        other = server.create_database()
        server.sql(f'CREATE TABLE child (id bigint, FOREIGN KEY (id) REFERENCES {case.database}.u (id))', other)
        code, out, err = case.run("--again")
        assert code == 2 and "foreign keys or triggers" in err, f"exit code {code}; it said\n{err}{out}"


def settings_of_the_server_change_nothing(program, server):
    """NULL into a timestamp by way of the staging table, and a server that keeps no list of its warnings."""
    server.sql("SET GLOBAL max_error_count = 0, GLOBAL explicit_defaults_for_timestamp = OFF, GLOBAL sql_mode = ''")
    try:
        with Case(program, server) as case:
            case.sql("CREATE TABLE t (id bigint PRIMARY KEY, k timestamp NULL, amount decimal(50,2), note text)")
            case.write([[1, None, 5, "x"]])
            (case.folder / "q.sql").write_text("SELECT 1 AS id, NULL::timestamp AS k, '1.23' AS amount FROM rows UNION ALL SELECT 2, NULL, '1.239' FROM rows")
            case.job("table: t, mode: upsert, key: [id]", more="prepare: [{sql: {path: q.sql}}]\n")
            case.succeed()
            found = case.sql("SELECT id, k, amount FROM t")
            assert found == [["1", NULL, "1.23"]] and len(case.rejected()) == 1, (found, case.rejected())
    finally:
        server.sql("SET GLOBAL max_error_count = 64, GLOBAL explicit_defaults_for_timestamp = ON, GLOBAL sql_mode = DEFAULT")


def mistakes(program, server):
    with Case(program, server) as case:
        case.write(rows(1, 10, bad=False))
        case.job()
        url = case.environment["DATABASE_URL"]
        case.fail(2, "Access denied", "check user and password", DATABASE_URL=server.url(case.database, password="wrong"))
        case.fail(2, "nowhere", DATABASE_URL=server.url("nowhere"))
        case.fail(2, "the url cannot be read", DATABASE_URL="mariadb://user:the-password-of-tests@host:x/y")
        case.fail(2, "the url cannot be read", DATABASE_URL="postgres://user:the-password-of-tests@host/y")
        case.fail(1, "cannot connect", DATABASE_URL=url.replace(str(server.port), "1"))
        case.fail(2, "sslrootcert", DATABASE_URL=url.split("?")[0] + "?sslmode=verify-full")
        case.job("table: t, mode: update, key: [k]")
        case.fail(2, "there is no table 't', and mode update makes none")
        case.sql("CREATE TABLE t (id bigint, k int, amount int, note text, must int NOT NULL)")
        case.job()
        case.fail(2, "column 'must' of table 't' must have a value and the rows have none")
        case.sql("ALTER TABLE t DROP must, DROP note")
        case.fail(2, "table 't' has no column 'note'")
        case.job("table: t, columns: evolve")
        case.succeed()
        assert case.sql("SELECT count(note) FROM t") == [["10"]]
        case.job("table: t, mode: upsert, key: [k]")
        case.fail(2, "table 't' has no unique index on the key", "CREATE UNIQUE INDEX")
        case.sql("CREATE VIEW seen AS SELECT * FROM t; CREATE TABLE quick (id bigint, k int, amount int, note text) ENGINE=MyISAM")
        case.job("table: seen")
        case.fail(2, "'seen' is no table")
        case.job("table: quick")
        case.fail(2, "MyISAM")
        case.job("table: " + "x" * 65)
        case.fail(2, "65 characters")
        case.job()
        server.sql("CREATE USER guest@'127.0.0.1' IDENTIFIED BY 'guest-of-tests'")
        guest = server.url(case.database, "guest", "guest-of-tests")
        case.fail(2, "Access denied", "to database", "ask the owner of the database for the right", DATABASE_URL=guest)
        server.sql(f"GRANT SELECT ON {case.database}.* TO guest@'127.0.0.1'")
        case.fail(1, "command denied", "ask the owner of the database for the right", DATABASE_URL=guest)


def proves(program, server):
    """Trials in databases of their own, beside a real table that stays as it is."""
    with Case(program, server) as case:
        case.sql("CREATE TABLE t (number bigint AUTO_INCREMENT UNIQUE, id bigint PRIMARY KEY, k int NOT NULL, amount int CHECK (amount < "
                 "985), note varchar(12), twice int AS (amount * 2)); INSERT INTO t (id, k, amount, note) VALUES (7, 7, 7, 'mine'), "
                 "(-1, 1, 1, 'mine')")
        case.sql("CREATE TRIGGER forbid BEFORE INSERT ON t FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the real table'")
        case.write([[i, i % 5, 990 if i % 20 == 3 else i, f"note {i}"] for i in range(60)])
        case.job("table: t, mode: upsert, key: [id]")
        before = case.sql("SELECT * FROM t ORDER BY id")
        process = program.start(case.folder, "prove", "job.yaml", "--seed", "1", "--json", "--kills", "5", **case.environment)
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, f"exit code {process.returncode}; it said\n{err}{out}"
        said = json.loads(out)
        assert said["proved"] and not said["problems"], out
        assert before == case.sql("SELECT * FROM t ORDER BY id"), "the real table was changed"
        left = server.sql("SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE 'tranche%'")
        assert not left, f"left behind: {left}"
        print(f"   {said['trials']} trials, {said['kills']} kills; left out: {[store['left_out'] for store in said['stores']]}", flush=True)


TESTS = (shared.every_mode_stores_and_rejects, shared.changes_are_done_in_order, shared.bisects, nothing_is_stored_changed, types_round_trip,
         keys_are_judged_by_their_collation, another_unique_key_is_a_reject, a_signal_in_a_trigger, mistakes, shared.rows_that_fit_in_no_table, replace_is_one_step,
         settings_of_the_server_change_nothing,
         shared.before_and_after_run_once, shared.changed_between_crash_and_resume, shared.two_at_once,
         shared.paused_process_is_fenced, answer_to_commit_is_lost, a_deadlock_is_tried_again, shared.secrets_are_shown_nowhere, proves,
         shared.parallel_lanes_are_killed, shared.killed_at_every_failpoint, shared.server_is_killed)


if __name__ == "__main__":
    sys.exit(main(__doc__, TESTS, MariaDb, shared.add_options))
