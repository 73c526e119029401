"""Small CSV and NDJSON files, each with one oddity, and the rows that they hold by Tranche's rules.

    group = make("csv_ragged", folder, random.Random(seed), files=20)     # files of one kind, with the same options
    group.files[0].path, group.files[0].rows, group.files[0].rejects
"""
import dataclasses
import datetime
import decimal
import json
import pathlib

WORDS = ["plain", "Grüße", "naïve", "日本語", "Ω≈ç√", "👩‍👩‍👧", "e\u0301", "שלום", "\u202eright", "a\ufeffb", " lead",
         "trail ", "a b", "'", "`x`", "null", "NULL", "NA", "NaN", "true", "0x1F", "=1+1", "@x", "\\n", "\\", "%s", "--", "/*", "; drop", "a\tb", "007", "1e5",
         "2026-01-01", "x" * 300, "\x1b[31m", "\x7f", "<a>", "&amp;", "\u2028", "a\u00a0b", "𐍈", "a,b", "a;b", "a|b"]
QUOTED = [*WORDS, 'say "x"', '"', '""', "two\nlines", '"\n"', ",", "\n"]
LATIN = ["plain", "Grüße", "naïve", "£5", "a b", "€"]
TYPES = {"id": "bigint", "t": "text", "n": "bigint", "f": "double", "d": "date", "m": "timestamp", "b": "boolean",
         "p": "decimal(12,2)"}


@dataclasses.dataclass
class Dialect:
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    end: str = "\n"
    always: bool = False      # quotes around every value


@dataclasses.dataclass
class File:
    path: pathlib.Path
    rows: list                # tuples that are read, in order
    rejects: int


@dataclasses.dataclass
class Group:
    kind: str
    types: dict
    options: dict             # Tranche's, beside `path` and `types`
    dialect: Dialect
    files: list


def written(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else str(value)


def cell(value, chance, dialect):
    if value is None:
        return ""
    text, quote, escape = written(value), dialect.quote, dialect.escape
    needed = text == "" or text != text.strip(" ") or any(c in text for c in (dialect.delimiter, quote, "\n", "\r"))
    if not quote or not (needed or dialect.always or chance.random() < 0.1):
        return text
    if escape != quote:
        text = text.replace(escape, escape * 2)
    return quote + text.replace(quote, escape + quote) + quote


def line(values, chance, dialect):
    return dialect.delimiter.join(cell(value, chance, dialect) for value in values)


def lines(rows, chance, dialect, names=None):
    """With a header."""
    return [dialect.delimiter.join(names or TYPES), *(line(row, chance, dialect) for row in rows)]


def joined(some, dialect):
    return "".join(each + dialect.end for each in some)


def value(name, chance, words):
    if chance.random() < 0.12:
        return None
    if name == "n":
        return chance.choice([0, -1, 7, 2**53, 2**53 + 1, -(2**63), 2**63 - 1, chance.randrange(-10**6, 10**6),
                              chance.randrange(-2**63, 2**63)])
    if name == "f":
        return chance.choice([0.0, -0.0, 0.1, 1e300, 5e-324, -1.5, 1 / 3, chance.random(), chance.gauss(0, 1e6)])
    if name == "d":
        return datetime.date.fromordinal(chance.choice([1, 3652059, 719163, chance.randrange(1, 3652060)]))
    if name == "m":
        return datetime.datetime(chance.choice([1, 1969, 2026, 9999]), chance.randrange(1, 13), chance.randrange(1, 29),
                                 chance.randrange(24), chance.randrange(60), chance.randrange(60),
                                 chance.choice([0, 0, 500000, 123456]))
    if name == "b":
        return chance.random() < 0.5
    if name == "p":
        return decimal.Decimal(chance.randrange(-10**11, 10**11)).scaleb(-2)
    return " ".join(chance.choice(words) for _ in range(chance.randrange(1, 4)))


def records(number, chance, names, words):
    return [[number * 1000 + i if name == "id" else value(name, chance, words) for name in names]
            for i in range(chance.randrange(2, 25))]


KINDS = {}


def kind(types=TYPES, words=WORDS, options=None, dialect=None):
    """Of a function (chance, rows, dialect) that writes the rows, and may change them: text or bytes, perhaps with the number of
    rows that must be refused."""
    def register(function):
        KINDS[function.__name__] = (function, types, words, options or {}, dialect or Dialect())
        return function
    return register


def make(name, folder, chance, files):
    function, types, words, options, dialect = KINDS[name]
    group = Group(name, types, options, dialect, [])
    for number in range(files):
        rows = records(number, chance, types, words)
        made = function(chance, rows, dialect)
        made, rejects = made if isinstance(made, tuple) else (made, 0)
        path = folder / f"{number:03}.{'csv' if name.startswith('csv') else 'ndjson'}"
        path.write_bytes(made if isinstance(made, bytes) else made.encode())
        group.files.append(File(path, [tuple(row) for row in rows], rejects))
    return group


def some(chance, rows):
    """A few of their places, the last first."""
    return sorted(chance.sample(range(len(rows)), chance.randrange(1, len(rows))), reverse=True)


def spoiled(chance, rows, dialect, spoil):
    """`spoil(line)` makes lines that must be refused of some rows."""
    text = lines(rows, chance, dialect)
    bad = some(chance, rows)
    for i in bad:
        text[i + 1] = spoil(text[i + 1])
        del rows[i]
    return text, len(bad)


# ---- CSV, well-formed

@kind()
def csv_plain(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED)
def csv_quoted(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED, dialect=Dialect(end="\r\n", always=True))
def csv_quoted_crlf(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=[word.replace("\n", "\r\n") for word in QUOTED], dialect=Dialect(end="\r\n"))
def csv_crlf_in_quotes(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED, options={"delimiter": "semicolon"}, dialect=Dialect(delimiter=";"))
def csv_semicolon(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED, dialect=Dialect(delimiter="\t"))
def csv_tab_found(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=[*QUOTED, "it's"], options={"delimiter": "pipe", "quote": "'"}, dialect=Dialect(delimiter="|", quote="'", escape="'"))
def csv_pipe_single_quotes(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED, options={"escape": "\\"}, dialect=Dialect(escape="\\"))
def csv_backslash(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=[word for word in [*WORDS, 'say "x"', '"'] if "\t" not in word], options={"quote": "none", "delimiter": "tab"},
      dialect=Dialect(delimiter="\t", quote="", escape=""))
def csv_without_quotes(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED)
def csv_byte_order_mark(chance, rows, dialect):
    return "\ufeff" + joined(lines(rows, chance, dialect), dialect)


@kind(words=QUOTED)
def csv_no_last_line_end(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)[:-1]


@kind(words=QUOTED)
def csv_blank_lines(chance, rows, dialect):
    return "".join(each + "\n" * chance.choice([1, 1, 2, 3]) for each in lines(rows, chance, dialect))


@kind(dialect=Dialect(end="\r"))
def csv_carriage_returns(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind()
def csv_mixed_line_ends(chance, rows, dialect):
    return "".join(each + chance.choice(["\n", "\r\n"]) for each in lines(rows, chance, dialect))


@kind()
def csv_header_only(chance, rows, dialect):
    rows.clear()
    return joined(lines(rows, chance, dialect), dialect)


@kind(types={"id": "bigint"})
def csv_one_column(chance, rows, dialect):
    return joined(lines(rows, chance, dialect, ["id"]), dialect)


@kind(types={"t": "text"}, words=QUOTED)
def csv_one_column_of_text(chance, rows, dialect):
    """A blank line is a row here: NULL."""
    return joined(lines(rows, chance, dialect, ["t"]), dialect)


@kind(types={"id": "bigint", **{f"c{i}": "text" for i in range(120)}}, words=["a", "ü", "b,c"])
def csv_many_columns(chance, rows, dialect):
    return joined(lines(rows, chance, dialect, ["id", *(f"c{i}" for i in range(120))]), dialect)


@kind(types={"id": "bigint", "t": "text"}, words=["long " * 20000, "ü" * 30000, "\n" * 1000])
def csv_long_values(chance, rows, dialect):
    del rows[4:]
    return joined(lines(rows, chance, dialect, ["id", "t"]), dialect)


@kind(types={"order id": "text", "SELECT": "text", 'a "b"': "text", "ü": "text", "x'y": "text", "a.b": "text"})
def csv_names(chance, rows, dialect):
    return joined(['"order id",SELECT,"a ""b""",ü,x\'y,a.b', *(line(row, chance, dialect) for row in rows)], dialect)


@kind(options={"header": "false", "names": list(TYPES)})
def csv_without_header(chance, rows, dialect):
    return joined(lines(rows, chance, dialect)[1:], dialect)


@kind(options={"skip": 2})
def csv_skipped_lines(chance, rows, dialect):
    return joined(["a report", 'of "things, ', *lines(rows, chance, dialect)], dialect)


@kind(words=["plain", "b"], options={"comment": "#"})
def csv_comments(chance, rows, dialect):
    return "".join(each + dialect.end + ('# a "comment, \n' if chance.random() < 0.3 else "")
                   for each in lines(rows, chance, dialect))


@kind(words=["plain", "b"], options={"nulls": ["NA", "-", ""]})
def csv_nulls(chance, rows, dialect):
    def shown(value):
        return chance.choice(["NA", "-", ""]) if value is None else cell(value, chance, dialect)
    return joined([",".join(TYPES), *(",".join(map(shown, row)) for row in rows)], dialect)


@kind(types={"id": "bigint", "t": "text", "u": "text"}, words=["", "", "plain"], options={"nulls": []})
def csv_empty_texts(chance, rows, dialect):
    for row in rows:
        row[1:] = [each or "" for each in row[1:]]
    return joined(lines(rows, chance, dialect, ["id", "t", "u"]), dialect)


@kind(words=LATIN, options={"encoding": "latin-1"})
def csv_latin_1(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect).encode("cp1252")


@kind(words=QUOTED, options={"encoding": "utf-16"})
def csv_utf_16(chance, rows, dialect):
    return ("\ufeff" + joined(lines(rows, chance, dialect), dialect)).encode(chance.choice(["utf-16-le", "utf-16-be"]))


@kind(words=["a\0b", "\0", "plain"])
def csv_nul_bytes(chance, rows, dialect):
    return joined(lines(rows, chance, dialect), dialect)


@kind(words=["plain"])
def csv_blanks_before_quotes(chance, rows, dialect):
    def shown(value):
        return "" if value is None else f' "{written(value)}" '
    return joined([",".join(TYPES), *(",".join(map(shown, row)) for row in rows)], dialect)


@kind(words=['5" pipe', 'a"', 'a"b"c', 'x""y'], dialect=Dialect())
def csv_quotes_within_values(chance, rows, dialect):
    """A quote means something only where a value begins."""
    return joined([",".join(TYPES), *(",".join("" if each is None else written(each) for each in row) for row in rows)], dialect)


@kind(options={"ragged": "pad"})
def csv_padded(chance, rows, dialect):
    text = lines(rows, chance, dialect)
    for i in some(chance, rows):
        text[i + 1] = line(rows[i][:3], chance, dialect)
        rows[i][3:] = [None] * (len(TYPES) - 3)
    return joined(text, dialect)


@kind()
def csv_underscores(chance, rows, dialect):
    text = lines(rows, chance, dialect)
    for i in some(chance, rows):
        rows[i] = [rows[i][0], "x", 12345, 1500.25, None, None, None, decimal.Decimal("1000.50")]
        text[i + 1] = f"{rows[i][0]},x,12_345,1_500.25,,,,1_000.50"
    return joined(text, dialect)


@kind(words=["a;b;c;d", "x;y;z|w"])
def csv_other_delimiters_in_values(chance, rows, dialect):
    """The delimiter is that of the header."""
    return joined(lines(rows, chance, dialect), dialect)


@kind()
def csv_trailing_delimiters(chance, rows, dialect):
    text = lines(rows, chance, dialect)
    return joined([text[0], *(each + chance.choice([",", ",,,", ',""']) for each in text[1:])], dialect)


# ---- CSV with rows that must be refused

@kind()
def csv_too_few_values(chance, rows, dialect):
    text, bad = spoiled(chance, rows, dialect, lambda each: chance.choice(["1,2", "x", ",,"]))
    return joined(text, dialect), bad


@kind()
def csv_too_many_values(chance, rows, dialect):
    text, bad = spoiled(chance, rows, dialect, lambda each: each + chance.choice([",1", ", ", ",,x,"]))
    return joined(text, dialect), bad


@kind()
def csv_text_behind_quotes(chance, rows, dialect):
    text, bad = spoiled(chance, rows, dialect, lambda each: '1,"a"b,1,1.5,2026-01-01,2026-01-01 00:00:00,true,1')
    return joined(text, dialect), bad


@kind(words=["plain", "b"])
def csv_unclosed_quote(chance, rows, dialect):
    """It costs its own line, not the rest of the file."""
    bad = chance.randrange(len(rows))
    text = [",".join(TYPES), *(",".join("" if each is None else written(each) for each in row) for row in rows)]
    text[bad + 1] = '1,"open,7,1.5,2026-01-01,2026-01-01 00:00:00,true,1'
    del rows[bad]
    return joined(text, dialect), 1


@kind(words=["plain", "b"])
def csv_not_utf_8(chance, rows, dialect):
    text, bad = spoiled(chance, rows, dialect, lambda each: "1,\udcff\udcfe,7,1.5,2026-01-01,2026-01-01 00:00:00,true,1")
    return joined(text, dialect).encode(errors="surrogateescape"), bad


def wrong(name, values):
    """A kind whose column `name` has values that are not of its type."""
    def spoil(chance):
        row = dict(zip(TYPES, ["1", "x", "7", "1.5", "2026-01-01", "2026-01-01 00:00:00", "true", "1.50"]))
        return ",".join({**row, name: chance.choice(values)}.values())

    def write(chance, rows, dialect):
        text, bad = spoiled(chance, rows, dialect, lambda each: spoil(chance))
        return joined(text, dialect), bad
    write.__name__ = f"csv_wrong_{TYPES[name].split('(')[0]}"
    kind()(write)


wrong("n", ["9223372036854775808", "-9223372036854775809", "18446744073709551615", "1.5", "1e30", "0x10", "1 000", "x",
            "--1", "٣"])
wrong("f", ["1e400", "-1e400", "1.5.2", "x", "1e", "½", "1 5"])
wrong("d", ["2026-02-30", "2026-13-01", "2026-00-10", "26.11.2026", "2026-01-01x", "x", "20260101", "2026-01-01 12:00:00"])
wrong("m", ["2026-02-30 00:00:00", "2026-01-01 25:00:00", "2026-01-01 00:61:00", "x", "2026-13-01 00:00:00", "1767225600"])
wrong("b", ["2", "x", "truee", "-1", "oui"])
wrong("p", ["1.005", "12345678901.00", "x", "1e10", "1.2.3", "NaN", "0.001", "1e-3"])


# ---- NDJSON

JSON = {name: type for name, type in TYPES.items() if name != "p"}
JSON_WORDS = [*QUOTED, "\u0001", "\b\f", "a/b", "\U0001F600"]


def plain(value):
    return written(value) if isinstance(value, datetime.date) else value


def objects(rows, types=None):
    return [{name: plain(value) for name, value in zip(types or JSON, row)} for row in rows]


def dumped(rows, **how):
    return "".join(json.dumps(each, **{"ensure_ascii": False, **how}) + "\n" for each in objects(rows))


@kind(types=JSON, words=JSON_WORDS)
def json_plain(chance, rows, dialect):
    return dumped(rows)


@kind(types=JSON, words=JSON_WORDS)
def json_escaped(chance, rows, dialect):
    return dumped(rows, ensure_ascii=True, separators=(" , ", "\t: "))


@kind(types=JSON, words=JSON_WORDS)
def json_missing_keys(chance, rows, dialect):
    made = objects(rows)
    return "".join(json.dumps({name: value for name, value in each.items() if value is not None}) + "\n" for each in made)


@kind(types=JSON, words=JSON_WORDS)
def json_any_order(chance, rows, dialect):
    return "".join(json.dumps(dict(chance.sample(list(each.items()), len(each)))) + "\n" for each in objects(rows))


@kind(types=JSON, words=JSON_WORDS)
def json_more_keys(chance, rows, dialect):
    return "".join(json.dumps({**each, "more": [1, {"a": None}], "Ω": 1}) + "\n" for each in objects(rows))


@kind(types=JSON, words=JSON_WORDS)
def json_crlf(chance, rows, dialect):
    return dumped(rows).replace("\n", "\r\n")


@kind(types=JSON, words=JSON_WORDS)
def json_blank_lines(chance, rows, dialect):
    return "".join(each + chance.choice(["\n", "\n\n", "\n \n"]) for each in dumped(rows).split("\n")[:-1])


@kind(types=JSON, words=JSON_WORDS)
def json_commas_at_the_end(chance, rows, dialect):
    return "".join(each[:-1] + ",}\n" for each in dumped(rows).split("\n")[:-1])


@kind(types=JSON, words=JSON_WORDS)
def json_no_last_line_end(chance, rows, dialect):
    return dumped(rows)[:-1]


@kind(types=JSON, words=JSON_WORDS)
def json_byte_order_mark(chance, rows, dialect):
    return "\ufeff" + dumped(rows)


@kind(types=JSON, words=JSON_WORDS, options={"format": "array"})
def json_array(chance, rows, dialect):
    return json.dumps(objects(rows), indent=chance.choice([None, 1]))


def bad_json(name, values):
    def write(chance, rows, dialect):
        text = dumped(rows).split("\n")[:-1]
        bad = some(chance, rows)
        for i in bad:
            text[i] = chance.choice(values)
            del rows[i]
        return joined(text, dialect).encode(errors="surrogateescape"), len(bad)
    write.__name__ = name
    kind(types=JSON, words=["plain", "b"])(write)


bad_json("json_malformed", ['{"id":1,', '{"id":1}}', "{'id':1}", '{"id":01}', '{"id":nul}', "x", '{"t":"a\tb"',
                            '{"id":1}{"id":2}', '{"id" 1}', "[", '{"t":"\\x"}'])
bad_json("json_not_an_object", ["1", "[1]", '"x"', "null", "true"])
bad_json("json_key_twice", ['{"id":1,"id":2}', '{"id":1,"t":"a","t":"a"}'])
bad_json("json_not_utf_8", ['{"id":1,"t":"\udcff"}'])
bad_json("json_too_large", ['{"id":9223372036854775808}', '{"n":18446744073709551615}', '{"n":1e30}', '{"f":1e400}', '{"n":1.5}',
                            '{"n":-9223372036854775809}'])
bad_json("json_wrong_type", ['{"n":"x"}', '{"n":[1]}', '{"d":"2026-02-30"}', '{"d":{"y":1}}', '{"b":"x"}', '{"m":"x"}', '{"f":"x"}'])
