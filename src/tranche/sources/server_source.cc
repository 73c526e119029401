#include "tranche/sources/server_source.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <mutex>
#include <thread>

#include <arrow/api.h>
#include <nlohmann/json.hpp>

#include "tranche/batch/arrow_error.h"
#include "tranche/batch/cutter.h"
#include "tranche/connector/prefetch.h"
#include "tranche/connector/sql_state.h"
#include "tranche/connector/step.h"
#include "tranche/sources/careful.h"
#include "tranche/sql/table_name.h"

namespace tranche {
namespace {

using nlohmann::json;
using sql::AnswerColumn;
using sql::ServerSession;

constexpr Duration kTimeout = std::chrono::minutes(10);  // for the first row of a query
constexpr int64_t kPartBytes = 8 << 20;
constexpr unsigned kMostParts = 8;

// `$name` as literals of the server's.
std::string WithLiterals(std::string_view text, const Parameters& parameters, const sql::Server& server) {
  std::string sql = ReplaceParameters(text, [&](std::string_view name) -> std::optional<std::string> {
    const auto found = parameters.find(name);
    return found == parameters.end() ? std::nullopt : std::optional(server.Literal(found->second));
  });
  while (!sql.empty() && (std::isspace(static_cast<unsigned char>(sql.back())) || sql.back() == ';')) {
    sql.pop_back();
  }
  return sql;
}

bool IsNumber(std::string_view text) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc() && end == text.data() + text.size() && std::isfinite(number);
}

// `"id" > 17`. A number is written as it is: some databases compare a number with a text as two texts.
std::string Compared(const AnswerColumn& column, std::string_view sign, const std::string& value,
                     const sql::Server& server) {
  const bool number = column.native && column.type != "VARCHAR" && column.type != "BLOB" && IsNumber(value);
  return fmt::format("{} {} {}", QuoteName(column.name), sign,
                     number ? value : server.Literal({.text = value}));
}

// A session, or after its `try_again` the last error.
Result<std::unique_ptr<ServerSession>> ConnectAgain(sql::Server& server, const SourceContext& context) {
  for (int attempt = 1;; ++attempt) {
    sql::Fault fault;
    auto session = server.Connect(std::string(sql::kApplication), context.timeout.value_or(kTimeout), &fault);
    if (session || !sql::IsTransient(fault) || !context.try_again || !context.try_again(attempt)) {
      return session;
    }
  }
}

// The answer to what is asked on a session, which may be lost meanwhile; some drivers connect no sooner.
template <typename Ask>
std::invoke_result_t<Ask, std::unique_ptr<ServerSession>&> AskAgain(sql::Server& server,
                                                                    const SourceContext& context, Ask ask) {
  for (int attempt = 1;; ++attempt) {
    TRANCHE_ASSIGN(auto session, ConnectAgain(server, context));
    auto answer = ask(session);
    if (answer || !sql::IsTransient(session->fault()) || !context.try_again || !context.try_again(attempt)) {
      return answer;
    }
  }
}

// The keys of the rows that were handed on, until somebody has asked what leads behind them.
class Trail {
 public:
  explicit Trail(int64_t ordinal) : last_(ordinal) {}

  void Add(arrow::ArrayVector keys) {
    const std::scoped_lock lock(mutex_);
    last_ += keys.front()->length();
    pieces_.push_back({last_, std::move(keys)});
  }

  // As JSON: {"row": 4711, "key": ["17", "EU"]}.
  Result<std::string> Behind(int64_t ordinal) {
    const std::scoped_lock lock(mutex_);
    while (!pieces_.empty() && pieces_.front().last < ordinal) pieces_.pop_front();
    json key = json::array();
    const int64_t row =
        pieces_.empty() ? -1 : ordinal - 1 - (pieces_.front().last - pieces_.front().keys[0]->length());
    if (row < 0) return Fail(Code::kInternal, "row {} of a key's order is not known any more", ordinal);
    for (const auto& values : pieces_.front().keys) {
      TRANCHE_ARROW_ASSIGN(const auto value, "read", "a key", values->GetScalar(row));
      if (!value->is_valid) return Fail(Code::kData, "a column of the primary key has no value");
      key.push_back(value->ToString());
    }
    return json{{"row", ordinal}, {"key", std::move(key)}}.dump();
  }

 private:
  struct Piece {
    int64_t last;  // ordinal
    arrow::ArrayVector keys;
  };
  std::mutex mutex_;
  std::deque<Piece> pieces_;
  int64_t last_;
};

// What the readers of one scan share with their source.
struct Reading {
  std::vector<std::unique_ptr<ServerSession>> sessions;  // one a reader, which takes it; empty: it connects
  std::vector<std::shared_ptr<ReadCount>> counts;        // one a reader
  std::atomic<bool> lost = false;                        // a server went away, which may be back
  std::shared_ptr<Trail> trail;                          // of an ordered one
};

struct Answer {
  std::string query;
  std::string where;  // for people: the database and the table
  std::vector<AnswerColumn> columns;
  std::shared_ptr<arrow::Schema> schema;
  bool careful = false;
  std::string complaint;
  std::vector<std::string> order;  // of an ordered one: its key,
  std::vector<int> keys;           // where that stands in the columns,
  int64_t behind = 0;              // and how many rows came before
};

class ServerReader : public Reader {
 public:
  using Session = std::unique_ptr<ServerSession>;

  ServerReader(std::shared_ptr<const Answer> answer, Session session,
               std::function<Result<Session>()> connect, std::shared_ptr<Reading> reading,
               std::shared_ptr<ReadCount> count)
      : answer_(std::move(answer)),
        session_(std::move(session)),
        connect_(std::move(connect)),
        reading_(std::move(reading)),
        count_(std::move(count)),
        read_(answer_->behind) {}
  ~ServerReader() override { count_->Say(read_, ended_); }

  std::shared_ptr<arrow::Schema> schema() const override { return answer_->schema; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (ended_) return nullptr;
    if (rows_ == nullptr) TRANCHE_TRY(Open());
    std::vector<sql::ServerAnswer::Misread> misread;
    TRANCHE_ASSIGN(auto batch, Noted(rows_->Next(misread)));
    if (batch == nullptr) {
      ended_ = true;
      count_->Say(read_, true);
      return nullptr;
    }
    if (!misread.empty() && !answer_->careful) return Fail(Code::kData, "{}", answer_->complaint);
    if (reading_->trail) {
      arrow::ArrayVector keys;
      for (int key : answer_->keys) keys.push_back(batch->column(key));
      reading_->trail->Add(std::move(keys));
    }
    if (answer_->careful) return WithPlaces(*batch, misread);
    arrow::ArrayVector arrays = batch->columns();
    if (reading_->trail) {
      TRANCHE_ASSIGN(arrays.emplace_back(), NumbersFrom(read_ + 1, batch->num_rows()));
    }
    read_ += batch->num_rows();
    return arrow::RecordBatch::Make(answer_->schema, batch->num_rows(), std::move(arrays));
  }

 private:
  // By the thread that reads.
  Status Open() {
    if (session_ == nullptr) {
      TRANCHE_ASSIGN(session_, connect_());
    }
    TRANCHE_ASSIGN(rows_,
                   Noted(session_->Read(answer_->query, answer_->columns, answer_->careful, answer_->order)));
    return {};
  }

  template <typename T>
  Result<T> Noted(Result<T> result) {
    if (result) return result;
    if (sql::IsTransient(session_->fault())) reading_->lost = true;
    return std::move(result).error().In(answer_->where);
  }

  // The last column of `batch` is the row as text.
  Result<std::shared_ptr<arrow::RecordBatch>> WithPlaces(
      const arrow::RecordBatch& batch, const std::vector<sql::ServerAnswer::Misread>& misread) {
    arrow::ArrayVector arrays = batch.columns();
    const auto texts = std::static_pointer_cast<arrow::StringArray>(arrays.back());
    arrays.pop_back();
    PlaceColumns places;
    size_t next = 0;
    for (int64_t row = 0; row < batch.num_rows(); ++row) {
      std::string problem, column;
      for (; next < misread.size() && misread[next].row == row; ++next) {
        if (misread[next].column >= answer_->columns.size() || !problem.empty()) continue;
        const AnswerColumn& own = answer_->columns[misread[next].column];
        problem = fmt::format("a value that is not of type {}", own.type);
        column = own.name;
      }
      TRANCHE_ARROW_TRY(
          "hold", "a row",
          places.Add(answer_->where, ++read_, -1,
                     texts->IsNull(row) ? std::string_view() : texts->GetView(row), problem, column));
    }
    TRANCHE_ARROW_TRY("hold", "rows", places.Finish(arrays));
    return arrow::RecordBatch::Make(answer_->schema, batch.num_rows(), std::move(arrays));
  }

  std::shared_ptr<const Answer> answer_;
  Session session_;
  std::function<Result<Session>()> connect_;
  std::unique_ptr<sql::ServerAnswer> rows_;  // goes before its session
  std::shared_ptr<Reading> reading_;
  std::shared_ptr<ReadCount> count_;
  int64_t read_;  // ordinal of the last row
  bool ended_ = false;
};

class ServerSource : public CarefulSource {
 public:
  ServerSource(std::unique_ptr<sql::Server> server, sql::TableName table, const Options& options)
      : server_(std::move(server)), table_(std::move(table)), options_(options) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    return AskAgain(*server_, context, [&](auto& session) { return PlanOn(session, context); });
  }

  Result<std::vector<Split>> PlanOn(std::unique_ptr<ServerSession>& session, SourceContext& context) {
    mark_ = MarkIn(context);
    if (mark_.empty() && context.increment != nullptr) mark_ = context.increment->start;
    const std::string query = Select(context);
    // As it will be read: a statement that is no SELECT is a mistake here.
    auto columns = session->Describe(fmt::format("SELECT * FROM ({}\n) AS answer", query));
    if (!columns) {
      Error error = std::move(columns).error();
      if (!sql::IsTransient(session->fault())) error.code = Code::kJob;
      return std::move(error).In(server_->Describe()).At(Place());
    }
    TRANCHE_TRY(CheckNames(*columns));
    std::vector<TypedColumn> typed;
    for (const AnswerColumn& column : *columns) typed.push_back({.name = column.name, .type = column.type});
    TRANCHE_TRY(ApplyTypes(typed, options_.Types("types"), *context.engine));
    for (size_t i = 0; i < typed.size(); ++i) {
      AnswerColumn& column = (*columns)[i];
      if (typed[i].type == column.type && typed[i].format.empty()) continue;
      column = {.name = column.name, .type = typed[i].type, .value = column.text, .text = column.text};
    }
    std::vector<Split> splits = {{.name = fmt::format("{}: {}", server_->Describe(), Described())}};
    json more{{"columns", json::array()}, {"where", ""}, {"order", json::array()}};
    if (!table_.table.empty()) {
      auto order = session->ReadingOrder(table_);
      if (!order) return std::move(order).error().In(server_->Describe());
      more["order"] = *order;
    }
    for (const AnswerColumn& column : *columns)
      more["columns"].push_back({column.value, column.native, column.text});
    if (context.increment != nullptr) {
      auto range = FindRange(query, *columns, *session, context);
      if (!range) return std::move(range).error().In(server_->Describe());
      if (range->none_new) return std::vector<Split>{};
      splits.front().mark = range->mark;
      more["where"] = range->condition;
      more["mark"] = range->from;
    }
    if (context.alone) session_ = std::move(session);
    StoreIn(splits, typed, more.dump());
    return splits;
  }

  Status Open(std::vector<Split> splits, SourceContext& context) override {
    TRANCHE_TRY(CarefulSource::Open(std::move(splits), context));
    columns_of_answer_.clear();
    try {
      const json more = json::parse(more_);
      for (size_t i = 0; i < typed_.size(); ++i) {
        const json& column = more.at("columns").at(i);
        columns_of_answer_.push_back({.name = typed_[i].name,
                                      .type = typed_[i].type,
                                      .native = column.at(1),
                                      .value = column.at(0),
                                      .text = column.at(2)});
      }
      more.at("where").get_to(where_);
      mark_ = more.value("mark", "");
      more.at("order").get_to(order_);
    } catch (const std::exception& error) {
      return Fail(Code::kOutside, "what this run knows of its tables cannot be read: {}", error.what());
    }
    return {};
  }

  Result<SqlText> Scan(SourceContext& context) override;

  Result<ScanTotal> Total(SourceContext&) override {
    ScanTotal total;
    for (const auto& count : reading_->counts) {
      total.rows += count->rows;
      total.exact = total.exact && count->ended;
    }
    return total;
  }

  bool any_order() const override { return reading_ && reading_->counts.size() > 1; }
  bool ordered() const override { return !order_.empty(); }
  Result<std::string> Behind(int64_t ordinal) override { return reading_->trail->Behind(ordinal); }

  Status TakeRejects(SourceContext&, const std::function<Status(Reject)>&) override { return {}; }

  bool Recover(const Error& error) override {
    if (reading_ && reading_->lost.exchange(false)) {
      return try_again_ && try_again_(++attempts_);
    }
    return error.message == Complaint(input_) && CarefulSource::Recover(error);
  }

  std::string Describe() const override { return fmt::format("{}; {}", server_->Describe(), Described()); }

 private:
  struct Range {
    std::string mark;  // "updated_at=2026-11-20 14:30:00"
    std::string from;  // ${mark}
    std::string condition;
    bool none_new = false;
  };

  std::string Described() const {
    if (table_.table.empty()) return "a query";
    return table_.schema.empty() ? table_.table : table_.schema + "." + table_.table;
  }
  tranche::Place Place() const { return options_.PlaceOf(table_.table.empty() ? "query" : "table"); }

  std::string Select(const SourceContext& context) const {
    if (!table_.table.empty()) return "SELECT * FROM " + table_.quoted();
    Parameters parameters = context.parameters != nullptr ? *context.parameters : Parameters();
    parameters["mark"] = {.text = mark_};
    return WithLiterals(options_.Sql("query").text, parameters, *server_);
  }

  // Of the last finished run; empty: there is none.
  static std::string MarkIn(const SourceContext& context) {
    if (context.increment == nullptr) return "";
    const std::string& column = context.increment->column;
    const bool same = context.mark.size() > column.size() && context.mark[column.size()] == '=' &&
                      FindColumn({{column, ""}}, context.mark.substr(0, column.size())) != nullptr;
    return same ? context.mark.substr(column.size() + 1) : "";
  }

  Status CheckNames(const std::vector<AnswerColumn>& columns) const {
    Columns seen;
    for (const AnswerColumn& column : columns) {
      if (FindColumn(seen, column.name) != nullptr) {
        return Fail(Code::kJob, "column '{}' is twice in the {}", column.name,
                    table_.table.empty() ? "query" : "table")
            .At(Place())
            .Hint("read it by a `query`, and give one of them another name by AS");
      }
      seen.push_back({column.name, ""});
    }
    if (columns.empty()) return Fail(Code::kJob, "{} has no columns", Described()).At(Place());
    return {};
  }

  Result<Range> FindRange(const std::string& query, const std::vector<AnswerColumn>& columns,
                          ServerSession& session, const SourceContext& context) const;
  // `value` less the overlap, as text.
  static Result<std::string> Earlier(const std::string& value, const AnswerColumn& column,
                                     const SourceContext& context);
  // The rows behind the one that `behind` leads to; nothing: all.
  Result<std::string> ConditionOf(const std::string& behind, Answer& answer) const;
  // That of Plan, if it is still there, or a new one.
  Result<std::unique_ptr<ServerSession>> TakeSession(const SourceContext& context) {
    auto session = std::exchange(session_, nullptr);
    if (session && session->Query("SELECT 1")) return session;
    return ConnectAgain(*server_, context);
  }
  // Conditions that cut the table, and a session for each, which see it at one moment: or one, of all rows.
  Result<std::vector<std::string>> MakeParts(SourceContext& context);

  std::unique_ptr<sql::Server> server_;
  std::unique_ptr<ServerSession> session_;  // from Plan to Scan
  sql::TableName table_;
  Options options_;
  std::vector<AnswerColumn> columns_of_answer_;
  std::string where_;               // a condition on the rows
  std::string mark_;                // ${mark} in a query
  std::vector<std::string> order_;  // a key
  Registration reader_;
  std::shared_ptr<Reading> reading_;
  std::function<bool(int)> try_again_;
  int attempts_ = 0;
};

Result<std::string> ServerSource::Earlier(const std::string& value, const AnswerColumn& column,
                                          const SourceContext& context) {
  if (!context.increment->overlap) return value;
  if (!column.type.starts_with("TIMESTAMP") && column.type != "DATE") {
    return Fail(Code::kJob, "'overlap' is a time, and column '{}' holds {}", column.name, column.type)
        .Hint("leave it out, or name a column of times");
  }
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(*context.increment->overlap).count();
  TRANCHE_ASSIGN(auto rows, context.engine->Select({SqlText(fmt::format(
                                "SELECT CAST(CAST({} AS TIMESTAMP) - to_microseconds({}) AS {})",
                                QuoteText(value), micros, column.type == "DATE" ? "DATE" : "TIMESTAMP"))}));
  return rows.at(0).at(0).value_or(value);
}

// From behind the mark of the last run, or from `start`, to the greatest value that is there now. Rows
// without a value are not read, and the mark never goes back.
Result<ServerSource::Range> ServerSource::FindRange(const std::string& query,
                                                    const std::vector<AnswerColumn>& columns,
                                                    ServerSession& session,
                                                    const SourceContext& context) const {
  const Increment& increment = *context.increment;
  Columns known;
  for (const AnswerColumn& column : columns) known.push_back({column.name, column.type});
  const Column* found = FindColumn(known, increment.column);
  if (found == nullptr) return NoColumn(increment.column, known, Place());
  const AnswerColumn& column = columns[static_cast<size_t>(found - known.data())];
  const std::string name = QuoteName(column.name);
  const std::string prefix = column.name + "=";
  const std::string mark = MarkIn(context);
  auto beyond = [&](std::string_view sign, const std::string& value) {
    return Compared(column, sign, value, *server_);
  };
  std::string from;
  if (!mark.empty()) {
    from = beyond(">", mark);
  } else if (!increment.start.empty()) {
    from = beyond(">=", increment.start);
  }
  auto greatest =
      session.Query(fmt::format("SELECT {} FROM (SELECT max({}) AS {} FROM ({}\n) AS answer{}) AS most",
                                column.text, name, name, query, from.empty() ? "" : " WHERE " + from));
  if (!greatest) return std::move(greatest).error().At(Place());
  const std::string most = greatest->at(0).at(0).value_or(mark);
  if (most.empty()) return Range{.from = mark_, .condition = "1 = 0"};
  if (most == mark && !increment.overlap) return Range{.none_new = true};
  std::string first = increment.start;
  if (!mark.empty()) {
    TRANCHE_ASSIGN(first, Earlier(mark, column, context));
    from = beyond(">", first);
  }
  return Range{.mark = prefix + most,
               .from = std::move(first),
               .condition = beyond("<=", most) + (from.empty() ? "" : " AND " + from)};
}

Result<std::vector<std::string>> ServerSource::MakeParts(SourceContext& context) {
  auto& sessions = reading_->sessions;
  sessions.resize(1);
  TRANCHE_ASSIGN(auto first, TakeSession(context));
  if (table_.table.empty() || careful_ || context.ordered) {
    sessions[0] = std::move(first);
    return std::vector<std::string>{""};
  }
  const auto most = std::clamp<unsigned>(std::thread::hardware_concurrency(), 1, kMostParts);
  auto parts = first->Parts(table_, kPartBytes, static_cast<int>(most));
  if (!parts) {
    if (sql::IsTransient(first->fault())) reading_->lost = true;
    return std::move(parts).error();
  }
  std::optional<std::string> problem = parts->problem;
  if (parts->conditions.size() > 1) {
    sessions.resize(parts->conditions.size() - (first->reads_along() ? 1 : 0));
    const Status connected = sql::SideBySide(sessions.size(), [&](size_t i) -> Status {
      TRANCHE_ASSIGN(sessions[i],
                     server_->Connect(std::string(sql::kApplication), context.timeout.value_or(kTimeout)));
      return {};
    });
    problem = connected ? first->ShareMoment(table_, sessions) : std::optional(connected.error().message);
    if (!problem) {
      if (first->reads_along()) sessions.push_back(std::move(first));
      return std::move(parts->conditions);
    }
    if (connected) first.reset();
    sessions.clear();
    sessions.resize(1);
  }
  if (context.log != nullptr && !problem->empty()) {
    context.log->Debug("a table is read by one session", {{"table", Described()}, {"because", *problem}});
  }
  sessions[0] = std::move(first);
  return std::vector<std::string>{""};
}

// By the key's first column an index finds the first of them; databases do not see it in (a, b) > (1, 2).
Result<std::string> ServerSource::ConditionOf(const std::string& behind, Answer& answer) const {
  if (behind.empty()) return "";
  std::vector<std::string> key;
  try {
    const json mark = json::parse(behind);
    mark.at("row").get_to(answer.behind);
    mark.at("key").get_to(key);
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "where the reading of a table goes on cannot be read: {}", error.what());
  }
  if (key.size() != order_.size()) return Fail(Code::kOutside, "the primary key has other columns now");
  auto compared = [&](size_t i, std::string_view sign) {
    const auto column = std::ranges::find(columns_of_answer_, order_[i], &AnswerColumn::name);
    return Compared(*column, sign, key[i], *server_);
  };
  std::string beyond;
  for (size_t i = key.size(); i-- > 0;) {
    beyond = beyond.empty() ? compared(i, ">")
                            : fmt::format("({} OR {} AND {})", compared(i, ">"), compared(i, "="), beyond);
  }
  return key.size() == 1 ? beyond : fmt::format("{} AND {}", compared(0, ">="), beyond);
}

Result<SqlText> ServerSource::Scan(SourceContext& context) {
  reading_ = std::make_shared<Reading>();
  try_again_ = context.try_again;
  reader_ = {};
  TRANCHE_ASSIGN(const auto parts, MakeParts(context));
  Answer common{.where = fmt::format("{}: {}", server_->Describe(), Described()),
                .careful = careful_,
                .complaint = Complaint(input_)};
  arrow::FieldVector fields;
  std::vector<TypedColumn> left;  // what the engine has to convert
  std::string values;
  for (size_t i = 0; i < columns_of_answer_.size(); ++i) {
    const AnswerColumn& column = columns_of_answer_[i];
    left.push_back(column.native ? TypedColumn{.name = column.name} : typed_[i]);
    const bool key = context.ordered && std::ranges::find(order_, column.name) != order_.end();
    const bool unused =
        context.unused != nullptr && context.unused->contains(column.name) && !careful_ && !key;
    // One is read at least: rows without columns are none.
    const bool read = !unused || (i + 1 == columns_of_answer_.size() && common.columns.empty());
    const std::string source = fmt::format("c{}", i);
    values += fmt::format(
        "{}{} AS {}", i == 0 ? "" : ", ",
        read ? StrictValue(left[i], source, input_) : fmt::format("CAST(NULL AS {})", typed_[i].type),
        QuoteName(column.name));
    if (!read) continue;
    common.columns.push_back(column);
    fields.push_back(arrow::field(source, ArrowTypeOf(column)));
  }
  std::string behind;
  if (context.ordered) {
    common.order = order_;
    for (const std::string& name : order_) {
      const auto key = std::ranges::find(common.columns, name, &AnswerColumn::name);
      if (key == common.columns.end())
        return Fail(Code::kOutside, "the primary key has other columns now").In(common.where);
      common.keys.push_back(static_cast<int>(key - common.columns.begin()));
    }
    TRANCHE_ASSIGN(behind, ConditionOf(context.behind, common));
    if (!careful_) {
      values += fmt::format(", ordinal AS {}", QuoteName(kOrdinalColumn));
      fields.push_back(arrow::field("ordinal", arrow::int64()));
    }
  }
  if (careful_) PlaceColumns::AddFields(fields);
  common.schema = arrow::schema(std::move(fields));

  auto answer_of = [&](const std::string& part) -> std::shared_ptr<const Answer> {
    auto answer = std::make_shared<Answer>(common);
    answer->query = Select(context);
    std::string condition = where_;
    for (const std::string& more : {part, behind}) {
      if (!more.empty()) condition += (condition.empty() ? "" : " AND ") + more;
    }
    if (!condition.empty()) {
      answer->query = table_.table.empty()
                          ? fmt::format("SELECT * FROM ({}\n) AS asked WHERE {}", answer->query, condition)
                          : fmt::format("{} WHERE {}", answer->query, condition);
    }
    return answer;
  };
  std::vector<std::shared_ptr<const Answer>> answers;
  for (const std::string& part : parts) {
    answers.push_back(answer_of(part));
    reading_->counts.push_back(std::make_shared<ReadCount>());
  }
  auto connect = [&server = *server_,
                  again = SourceContext{.try_again = context.try_again, .timeout = context.timeout}] {
    return ConnectAgain(server, again);
  };
  ReaderFactory factory = [answers, whole = answer_of(""), connect, reading = reading_,
                           ordered = context.ordered]() -> Result<std::unique_ptr<Reader>> {
    if (ordered) reading->trail = std::make_shared<Trail>(whole->behind);
    auto sessions = std::exchange(reading->sessions, {});
    if (sessions.empty()) {  // a query that reads it again, as a recursive one does
      return std::make_unique<ServerReader>(whole, nullptr, connect, reading, reading->counts[0]);
    }
    std::vector<std::unique_ptr<Reader>> readers;
    for (size_t i = 0; i < answers.size(); ++i) {
      readers.push_back(std::make_unique<ServerReader>(answers[i], std::move(sessions[i]), connect, reading,
                                                       reading->counts[i]));
    }
    if (readers.size() == 1) return std::move(readers.front());
    return Prefetch(std::move(readers));
  };
  TRANCHE_ASSIGN(reader_, Registration::Make(*context.engine, common.schema, std::move(factory)));
  const std::string from = "(SELECT * FROM " + reader_.text() + ")";
  if (careful_) return SqlText(ScanOver(left, from, context));
  return SqlText(fmt::format("(SELECT {} FROM {})", values, from));
}

}  // namespace

void SetServerSource(SourceSpec& spec, Field url, sql::MakeServer make) {
  SetServerSource(spec, std::vector{std::move(url)},
                  [make](const Options& options) { return sql::ServerOf(make, options, ""); });
}

void SetServerSource(SourceSpec& spec, std::vector<Field> fields, ServerMaker make) {
  spec.files = false;
  spec.incremental = true;
  spec.remote = true;
  fields.push_back(TablesField("The table or view to read, `name` or `schema.name`."));
  fields.emplace_back("schema", Shape::Text(), "The table's schema; `table` is then taken as it is.");
  fields.emplace_back("query", Shape::ServerSql(), "A SELECT in the server's own SQL, instead of a table.");
  fields.emplace_back(
      "types", Shape::Map(Shape::Column(), Shape::Type()),
      "Types of columns that are to be others than the server's; the values are read as text.");
  spec.shape = Shape::Object(std::move(fields));
  spec.tables = [make](const Options& options, const std::string& schema,
                       SourceContext& context) -> Result<SchemaTables> {
    TRANCHE_ASSIGN(const auto server, make(options));
    auto listed = AskAgain(*server, context, [&](auto& session) -> Result<SchemaTables> {
      auto tables = session->Tables(schema);
      if (!tables) return std::move(tables).error().In(server->Describe());
      return tables;
    });
    if (!listed) return listed;
    listed->where = server->Describe();
    return listed;
  };
  spec.make = [make, name = spec.name](const Options& options) -> Result<std::unique_ptr<Source>> {
    if (options.Has("table") == options.Has("query")) {
      return Fail(Code::kJob, "'{}' needs either `table` or `query`", name).At(options.place());
    }
    sql::TableName table;
    if (options.Has("table")) {
      TRANCHE_ASSIGN(table, sql::ParseTableName(options));
    }
    TRANCHE_ASSIGN(auto server, make(options));
    return std::make_unique<ServerSource>(std::move(server), std::move(table), options);
  };
}

}  // namespace tranche
