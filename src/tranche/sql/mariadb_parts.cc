#include "tranche/sql/mariadb_parts.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <set>
#include <span>

#include "tranche/connector/sql_text.h"

namespace tranche::sql {
namespace {

using KeyNumber = __int128;  // of a signed and of an unsigned bigint

// Types whose values are put in order by a number: as SQL, the number of a value and the value of a number.
// What compares with such a value is exact, whatever lies between two numbers.
struct KeyType {
  std::string_view name;
  std::string_view number;
  std::string_view value;
  bool exact;  // a value for each number
};
constexpr std::string_view kMicros = "timestampdiff(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', {})";
constexpr std::string_view kTime = "(TIMESTAMP'1970-01-01 00:00:00' + INTERVAL {} MICROSECOND)";
constexpr std::string_view kFirstBytes = "conv(rpad(hex(left({}, 8)), 16, '0'), 16, 10)";
constexpr std::string_view kBytes = "unhex(lpad(hex({}), 16, '0'))";
constexpr KeyType kTypes[] = {
    {"tinyint", "{}", "{}", true},          {"smallint", "{}", "{}", true},
    {"mediumint", "{}", "{}", true},        {"int", "{}", "{}", true},
    {"bigint", "{}", "{}", true},           {"date", "to_days({})", "from_days({})", true},
    {"datetime", kMicros, kTime, true},     {"timestamp", kMicros, kTime, true},
    {"binary", kFirstBytes, kBytes, false}, {"varbinary", kFirstBytes, kBytes, false},
};

struct KeyColumn {
  std::string name;  // quoted
  const KeyType* type;
};

// Rows whose first columns of the key are `fixed`, and the next one from `from` to `to`.
struct Piece {
  std::vector<KeyNumber> fixed;
  KeyNumber from = 0, to = 0;
  bool known = false;  // from and to
  int64_t rows = 0;
};

std::string Written(std::string_view pattern, std::string_view value) {
  const size_t at = pattern.find("{}");
  return fmt::format("{}{}{}", pattern.substr(0, at), value, pattern.substr(at + 2));
}

std::string ValueOf(const KeyColumn& column, KeyNumber number) {
  return Written(column.type->value, number < 0 ? fmt::format("{}", static_cast<int64_t>(number))
                                                : fmt::format("{}", static_cast<uint64_t>(number)));
}

std::optional<KeyNumber> NumberIn(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const char* end = text->data() + text->size();
  int64_t number = 0;
  if (text->starts_with('-')) {
    if (std::from_chars(text->data(), end, number).ptr != end) return std::nullopt;
    return number;
  }
  uint64_t natural = 0;
  if (std::from_chars(text->data(), end, natural).ptr != end) return std::nullopt;
  return natural;
}

// "k > 7 OR (k = 7 AND part >= 2)": behind the start of a piece, or before it.
std::string Beyond(std::span<const KeyColumn> key, const Piece& piece, bool behind) {
  std::string text = fmt::format("{} {} {}", key[piece.fixed.size()].name, behind ? ">=" : "<",
                                 ValueOf(key[piece.fixed.size()], piece.from));
  for (size_t i = piece.fixed.size(); i-- > 0;) {
    const std::string value = ValueOf(key[i], piece.fixed[i]);
    text = fmt::format("{0} {1} {2} OR ({0} = {2} AND ({3}))", key[i].name, behind ? ">" : "<", value, text);
  }
  return "(" + text + ")";
}

class Cutter {
 public:
  Cutter(SqlConnection& session, const TableName& table, std::vector<KeyColumn> key)
      : session_(session), table_(table.quoted() + " FORCE INDEX (PRIMARY)"), key_(std::move(key)) {}

  // In the order of the key; no piece has more than a quarter of the rows of a part, where keys allow that.
  Result<std::vector<Piece>> Cut(int64_t parts) {
    constexpr int kMostRounds = 8;
    constexpr int64_t kPieces = 8;
    std::vector<Piece> pieces(1);
    std::vector<bool> heavy = {true};
    for (int round = 0; round < kMostRounds; ++round) {
      const int64_t cut = std::ranges::count(heavy, true);
      if (cut == 0) break;
      TRANCHE_ASSIGN(pieces, Refined(std::move(pieces), heavy, std::max(kPieces, parts * kPieces / cut)));
      const int64_t most = Rows(pieces) / (parts * 4);
      heavy.clear();
      for (const Piece& piece : pieces) heavy.push_back(piece.rows > most && MayBeCut(piece));
    }
    return pieces;
  }

  // A part ends at the border of pieces that is nearest to where it should.
  std::vector<std::string> Conditions(const std::vector<Piece>& pieces, int64_t parts) const {
    const int64_t total = Rows(pieces);
    int64_t before = 0;
    std::vector<std::string> conditions;
    std::string from;
    for (const Piece& piece : pieces) {
      const int64_t end = total / parts * (std::ssize(conditions) + 1);
      if (before > 0 && std::ssize(conditions) + 1 < parts && before + piece.rows / 2 >= end) {
        conditions.push_back(from + Beyond(key_, piece, /*behind=*/false));
        from = Beyond(key_, piece, /*behind=*/true) + " AND ";
      }
      before += piece.rows;
    }
    if (!conditions.empty()) conditions.push_back(from.substr(0, from.size() - 5));
    return conditions;
  }

 private:
  static int64_t Rows(const std::vector<Piece>& pieces) {
    int64_t rows = 0;
    for (const Piece& piece : pieces) rows += piece.rows;
    return rows;
  }

  bool MayBeCut(const Piece& piece) const {
    return piece.from < piece.to ||
           (key_[piece.fixed.size()].type->exact && piece.fixed.size() + 1 < key_.size());
  }

  std::string Within(const Piece& piece) const {
    const KeyColumn& column = key_[piece.fixed.size()];
    std::string text = column.name + " IS NOT NULL";
    for (size_t i = 0; i < piece.fixed.size(); ++i)
      text += fmt::format(" AND {} = {}", key_[i].name, ValueOf(key_[i], piece.fixed[i]));
    if (!piece.known) return text;
    text += fmt::format(" AND {} >= {}", column.name, ValueOf(column, piece.from));
    if (column.type->exact) {
      text += fmt::format(" AND {} <= {}", column.name, ValueOf(column, piece.to));
    } else if (piece.to < std::numeric_limits<uint64_t>::max()) {
      text += fmt::format(" AND {} < {}", column.name, ValueOf(column, piece.to + 1));
    }
    return text;
  }

  // Those that are `heavy` become `each` pieces, from their least to their greatest key. The other ones stay.
  Result<std::vector<Piece>> Refined(std::vector<Piece> pieces, const std::vector<bool>& heavy,
                                     int64_t each) {
    std::string ends;
    for (size_t i = 0; i < pieces.size(); ++i) {
      if (!heavy[i]) continue;
      Piece& piece = pieces[i];
      if (piece.known && piece.from == piece.to) {
        piece.fixed.push_back(piece.from);
        piece.known = false;
      }
      const KeyColumn& column = key_[piece.fixed.size()];
      ends += fmt::format("{}SELECT {}, {}, {} FROM {} WHERE {}", ends.empty() ? "" : " UNION ALL ", i,
                          Written(column.type->number, "min(" + column.name + ")"),
                          Written(column.type->number, "max(" + column.name + ")"), table_, Within(piece));
    }
    TRANCHE_ASSIGN(auto found, session_.Query(ends));
    std::map<int64_t, std::pair<KeyNumber, KeyNumber>> ranges;
    for (const TextRow& row : found) {
      const auto least = NumberIn(row.at(1)), greatest = NumberIn(row.at(2));
      if (least && greatest && *least <= *greatest) ranges[ToNumber(row[0])] = {*least, *greatest};
    }
    std::vector<Piece> refined;
    std::vector<size_t> added;
    for (size_t i = 0; i < pieces.size(); ++i) {
      const auto range = ranges.find(static_cast<int64_t>(i));
      if (!heavy[i]) refined.push_back(std::move(pieces[i]));
      if (range == ranges.end()) continue;
      const auto [least, greatest] = range->second;
      const KeyNumber count = std::min<KeyNumber>(each, greatest - least + 1);
      auto start = [&](KeyNumber piece) { return least + (greatest - least + 1) * piece / count; };
      for (KeyNumber piece = 0; piece < count; ++piece) {
        added.push_back(refined.size());
        refined.push_back({pieces[i].fixed, start(piece), start(piece + 1) - 1, true});
      }
    }
    TRANCHE_TRY(Estimate(refined, added));
    return refined;
  }

  // How many rows there are, as the server guesses from its index.
  Status Estimate(std::vector<Piece>& pieces, const std::vector<size_t>& asked) {
    if (asked.empty()) return {};
    std::string selects;
    for (size_t i : asked) {
      selects += fmt::format("{}SELECT 1 FROM {} WHERE {}", selects.empty() ? "EXPLAIN " : " UNION ALL ",
                             table_, Within(pieces[i]));
    }
    TRANCHE_ASSIGN(auto plans, session_.Query(selects));
    constexpr size_t kId = 0, kRows = 8;  // https://mariadb.com/kb/en/explain/
    for (const TextRow& plan : plans) {
      const int64_t id = ToNumber(plan.at(kId));
      if (id > 0 && id <= std::ssize(asked))
        pieces[asked[static_cast<size_t>(id - 1)]].rows = ToNumber(plan.at(kRows));
    }
    return {};
  }

  SqlConnection& session_;
  std::string table_;
  std::vector<KeyColumn> key_;
};

struct KeyPart {
  std::string name;
  std::string type;
  bool prefix;  // only the beginning of its values is in the key
};

// The columns of the primary key, in its order.
Result<std::vector<KeyPart>> PrimaryKeyOf(SqlConnection& session, const TableName& table) {
  const Value schema = Text(table.schema), name = Text(table.table);
  TRANCHE_ASSIGN(
      auto rows,
      session.Query(
          "SELECT k.column_name, c.data_type, k.sub_part FROM information_schema.statistics AS k JOIN "
          "information_schema.columns AS c ON c.column_name = k.column_name WHERE k.table_schema = "
          "coalesce(nullif($1, ''), DATABASE()) AND k.table_name = $2 AND k.index_name = 'PRIMARY' AND "
          "c.table_schema = coalesce(nullif($3, ''), DATABASE()) AND c.table_name = $4 ORDER BY "
          "k.seq_in_index",
          {schema, name, schema, name}));
  std::vector<KeyPart> key;
  for (const TextRow& row : rows)
    key.push_back({row.at(0).value_or(""), row.at(1).value_or(""), row.at(2).has_value()});
  return key;
}

// As far as its columns can be cut.
Result<std::vector<KeyColumn>> KeyOf(SqlConnection& session, const TableName& table) {
  TRANCHE_ASSIGN(const auto parts, PrimaryKeyOf(session, table));
  std::vector<KeyColumn> key;
  for (const KeyPart& part : parts) {
    const auto* type = std::ranges::find(kTypes, part.type, &KeyType::name);
    if (type == std::end(kTypes) || part.prefix) break;
    key.push_back({QuoteName(part.name), type});
  }
  return key;
}

}  // namespace

Result<TableParts> MariaDbParts(SqlConnection& session, const TableName& table, int64_t bytes, int most) {
  const std::vector<Value> named = {Text(table.schema), Text(table.table)};
  // The size is measured a while after rows were written; their number is known at once.
  TRANCHE_ASSIGN(auto rows,
                 session.Query("SELECT table_type, engine, greatest(data_length, table_rows * 32), (SELECT "
                               "count(*) FROM information_schema.global_variables WHERE variable_name = "
                               "'WSREP_ON' AND variable_value = 'ON') FROM information_schema.tables WHERE "
                               "table_schema = coalesce(nullif($1, ''), DATABASE()) AND table_name = $2",
                               named));
  TableParts parts;
  if (rows.empty()) return parts;
  const int64_t wanted = std::clamp<int64_t>(ToNumber(rows[0].at(2)) / bytes, 1, most);
  if (rows[0].at(0) != "BASE TABLE") {
    parts.problem = "it is a " + rows[0].at(0).value_or("?");
  } else if (rows[0].at(1) != "InnoDB") {
    parts.problem = "its engine is " + rows[0].at(1).value_or("?");
  } else if (rows[0].at(3) != "0") {
    parts.problem = "a lock of a Galera cluster holds on one node only";
  }
  if (wanted < 2 || !parts.problem.empty()) return parts;
  TRANCHE_ASSIGN(auto key, KeyOf(session, table));
  if (key.empty()) {
    parts.problem = "it has no primary key that begins with a whole number, a date, a time or bytes";
    return parts;
  }
  Cutter cutter(session, table, std::move(key));
  TRANCHE_ASSIGN(auto pieces, cutter.Cut(wanted));
  parts.conditions = cutter.Conditions(pieces, wanted);
  if (parts.conditions.empty()) parts.problem = "its primary key gives no parts";
  return parts;
}

// InnoDB keeps its rows in the order of the primary key.
Result<std::vector<std::string>> MariaDbReadingOrder(SqlConnection& session, const TableName& table) {
  static const std::set<std::string, std::less<>> kOrdered = {
      "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "char", "varchar", "uuid"};
  TRANCHE_ASSIGN(const auto parts, PrimaryKeyOf(session, table));
  std::vector<std::string> key;
  for (const KeyPart& part : parts) {
    if (part.prefix || !kOrdered.contains(part.type)) return std::vector<std::string>{};
    key.push_back(part.name);
  }
  return key;
}

std::optional<std::string> ShareMariaDbMoment(SqlConnection& locking, const TableName& table,
                                              const std::vector<std::unique_ptr<ServerSession>>& sessions) {
  auto each = [&](std::string_view sql) {
    return SideBySide(sessions.size(), [&](size_t i) -> Status {
      TRANCHE_TRY(sessions[i]->Execute(sql));
      return {};
    });
  };
  auto share = [&]() -> Status {
    TRANCHE_TRY(each("SET SESSION tx_isolation = 'REPEATABLE-READ'"));
    // Should we stand still with the lock, the server ends the session, and UNLOCK fails.
    TRANCHE_TRY(locking.Execute("SET SESSION lock_wait_timeout = 1, wait_timeout = 1"));
    TRANCHE_TRY(locking.Execute(fmt::format("LOCK TABLES {} READ", table.quoted())));
    TRANCHE_TRY(each("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"));
    // Such a transaction holds no lock once its session has gone, and may end between two snapshots.
    TRANCHE_ASSIGN(auto prepared, locking.Query("XA RECOVER"));
    TRANCHE_TRY(locking.Execute("UNLOCK TABLES"));
    if (!prepared.empty()) return Fail(Code::kOutside, "there are prepared transactions (XA RECOVER)");
    return {};
  };
  Status shared = share();
  return shared ? std::nullopt : std::optional(shared.error().message);
}

}  // namespace tranche::sql
