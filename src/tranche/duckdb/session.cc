#include "tranche/duckdb/session.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <thread>

#include "tranche/duckdb/functions.h"
#include "tranche/duckdb/registered_reader.h"
#include "tranche/duckdb/scan_counts.h"

namespace tranche::duckdb {

namespace {

constexpr std::string_view kTicket = "reader failure ";

// Profiling counts the rows of each scan; everything that costs time is left out.
constexpr std::string_view kSessionSettings = R"(
  SET TimeZone = 'UTC';
  SET errors_as_json = true;
  SET enable_profiling = 'no_output';
  SET profiling_coverage = 'ALL';
  SET custom_profiling_settings = '{"OPERATOR_CARDINALITY": "true", "OPERATOR_NAME": "true", "OPERATOR_TYPE": "true",
                                    "EXTRA_INFO": "true"}')";

// A type name is put into SQL as it is.
bool IsTypeName(std::string_view type) {
  return !type.empty() && std::ranges::all_of(type, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == ' ' || c == '(' || c == ')' || c == ',';
  });
}

// The first value of a chunk's first column.
TypedValue FirstValue(duckdb_data_chunk chunk, const std::string& text) {
  duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, 0);
  void* data = duckdb_vector_get_data(vector);
  LogicalType type(duckdb_vector_get_column_type(vector));
  auto as = [&]<typename T>() { return *static_cast<T*>(data); };
  switch (duckdb_get_type_id(type.get())) {
    case DUCKDB_TYPE_BOOLEAN:
      return TypedValue(duckdb_create_bool(as.operator()<bool>()));
    case DUCKDB_TYPE_INTEGER:
      return TypedValue(duckdb_create_int32(as.operator()<int32_t>()));
    case DUCKDB_TYPE_BIGINT:
      return TypedValue(duckdb_create_int64(as.operator()<int64_t>()));
    case DUCKDB_TYPE_DOUBLE:
      return TypedValue(duckdb_create_double(as.operator()<double>()));
    case DUCKDB_TYPE_DATE:
      return TypedValue(duckdb_create_date(as.operator()<duckdb_date>()));
    case DUCKDB_TYPE_TIMESTAMP:
      return TypedValue(duckdb_create_timestamp(as.operator()<duckdb_timestamp>()));
    case DUCKDB_TYPE_TIMESTAMP_TZ:
      return TypedValue(duckdb_create_timestamp_tz(as.operator()<duckdb_timestamp>()));
    case DUCKDB_TYPE_DECIMAL: {
      duckdb_decimal decimal{duckdb_decimal_width(type.get()), duckdb_decimal_scale(type.get()), {}};
      __int128 value = 0;
      switch (duckdb_decimal_internal_type(type.get())) {
        case DUCKDB_TYPE_SMALLINT:
          value = as.operator()<int16_t>();
          break;
        case DUCKDB_TYPE_INTEGER:
          value = as.operator()<int32_t>();
          break;
        case DUCKDB_TYPE_BIGINT:
          value = as.operator()<int64_t>();
          break;
        default:
          decimal.value = as.operator()<duckdb_hugeint>();
          return TypedValue(duckdb_create_decimal(decimal));
      }
      decimal.value = {static_cast<uint64_t>(value), static_cast<int64_t>(value >> 64)};
      return TypedValue(duckdb_create_decimal(decimal));
    }
    default:
      return TypedValue(duckdb_create_varchar_length(text.data(), text.size()));
  }
}

}  // namespace

Result<std::unique_ptr<Instance>> Instance::Open(const DuckDbOptions& options) {
  Config config;
  duckdb_create_config(config.out());
  const std::array<std::pair<const char*, std::string>, 9> settings{{
      {"memory_limit", fmt::format("{}B", options.memory_limit)},
      {"threads", std::to_string(options.threads)},
      {"temp_directory", options.spill_folder},
      {"preserve_insertion_order", "true"},
      {"autoinstall_known_extensions", "false"},
      {"autoload_known_extensions", "false"},
      {"allow_community_extensions", "false"},
      {"produce_arrow_string_view", "false"},
      {"arrow_large_buffer_size", "false"},
  }};
  for (const auto& [name, value] : settings) {
    if (duckdb_set_config(config.get(), name, value.c_str()) != DuckDBSuccess) {
      return Fail(Code::kInternal, "this DuckDB has no setting {}", name);
    }
  }
  auto instance = std::make_unique<Instance>();
  char* problem = nullptr;
  if (duckdb_open_ext(nullptr, instance->database_.out(), config.get(), &problem) != DuckDBSuccess) {
    Error error = Translate(Fault::Parse(problem), {});
    duckdb_free(problem);
    return std::move(error).In("cannot start DuckDB");
  }
  TRANCHE_TRY(CreateReaderFunction(*instance));
  TRANCHE_TRY(CreateFunctions(*instance));
  return instance;
}

Result<Connection> Instance::Connect() const {
  Connection connection;
  if (duckdb_connect(database_.get(), connection.out()) != DuckDBSuccess) {
    return Fail(Code::kInternal, "DuckDB gives no connection");
  }
  return connection;
}

std::string Instance::AddReader(std::shared_ptr<RegisteredReader> reader) {
  std::lock_guard lock(mutex_);
  int64_t number = ++last_reader_;
  reader->name = fmt::format("{}({})", kReaderFunction, number);
  return readers_.emplace(number, std::move(reader)).first->second->name;
}

std::shared_ptr<RegisteredReader> Instance::FindReader(int64_t number) {
  std::lock_guard lock(mutex_);
  auto found = readers_.find(number);
  return found != readers_.end() ? found->second : nullptr;
}

void Instance::RemoveReader(const std::string& name) {
  std::lock_guard lock(mutex_);
  std::erase_if(readers_, [&](const auto& entry) { return entry.second->name == name; });
}

RowCounter Instance::CountRows(idx_t connection, ScanCount scan) {
  std::lock_guard lock(mutex_);
  auto counter = std::make_shared<std::atomic<int64_t>>(0);
  counters_.emplace(connection, std::pair(std::move(scan), counter));
  return counter;
}

std::vector<ScanCount> Instance::TakeCounts(idx_t connection) {
  std::lock_guard lock(mutex_);
  std::vector<ScanCount> counts;
  auto [first, last] = counters_.equal_range(connection);
  for (auto it = first; it != last; ++it) {
    counts.push_back(std::move(it->second.first));
    counts.back().rows = *it->second.second;
  }
  counters_.erase(first, last);
  return counts;
}

std::string Instance::Keep(Error error) {
  std::lock_guard lock(mutex_);
  kept_.insert_or_assign(++last_ticket_, std::move(error));
  return fmt::format("{}{}.", kTicket, last_ticket_);
}

std::optional<Error> Instance::Take(std::string_view message) {
  size_t at = message.find(kTicket);
  if (at == std::string_view::npos) return std::nullopt;
  message.remove_prefix(at + kTicket.size());
  int64_t ticket = 0;
  std::from_chars(message.data(), message.data() + message.size(), ticket);
  std::lock_guard lock(mutex_);
  auto node = kept_.extract(ticket);
  return node ? std::optional(std::move(node.mapped())) : std::nullopt;
}

Result<std::shared_ptr<Session>> Session::Open(std::shared_ptr<Instance> instance) {
  std::shared_ptr<Session> session(new Session(std::move(instance)));
  TRANCHE_ASSIGN(session->connection_, session->instance_->Connect());
  ClientContext context;
  duckdb_connection_get_client_context(session->connection(), context.out());
  session->connection_id_ = duckdb_client_context_get_connection_id(context.get());
  TRANCHE_TRY(session->Execute({std::string(kSessionSettings)}));
  return session;
}

Session::~Session() { instance_->TakeCounts(connection_id_); }

Error Session::Fail(const char* message, const Command& command) {
  Fault fault = Fault::Parse(message != nullptr ? message : "DuckDB failed without a word");
  if (auto kept = instance_->Take(fault.message)) return *std::move(kept);
  return Translate(fault, command);
}

Result<int64_t> Session::Execute(const Command& command) {
  instance_->TakeCounts(connection_id_);
  Answer answer;
  if (duckdb_query(connection_.get(), command.text.c_str(), answer.out()) != DuckDBSuccess) {
    return Fail(duckdb_result_error(answer.out()), command);
  }
  return static_cast<int64_t>(duckdb_rows_changed(answer.out()));
}

Result<Prepared> Session::Prepare(const Command& command) {
  instance_->TakeCounts(connection_id_);  // of a query that failed, or was not to be counted
  interrupted_ = false;
  Prepared statement;
  if (duckdb_prepare(connection_.get(), command.text.c_str(), statement.out()) != DuckDBSuccess) {
    return Fail(duckdb_prepare_error(statement.get()), command);
  }
  return statement;
}

Status Session::Bind(Prepared& statement, const Parameters& parameters, const Command& command) {
  for (idx_t i = 1; i <= duckdb_nparams(statement.get()); ++i) {
    const char* name = duckdb_parameter_name(statement.get(), i);
    auto found = parameters.find(std::string_view(name));
    Status status = found == parameters.end()
                        ? Status(tranche::Fail(Code::kJob, "unknown parameter '{}'", name))
                        : BindOne(statement, i, found->second, command);
    duckdb_free(const_cast<char*>(name));
    TRANCHE_TRY(std::move(status));
  }
  return {};
}

Status Session::Bind(Prepared& statement, const std::vector<Value>& values, const Command& command) {
  if (duckdb_nparams(statement.get()) != values.size()) {
    return tranche::Fail(Code::kInternal, "{} values for {} parameters", values.size(),
                         duckdb_nparams(statement.get()));
  }
  for (idx_t i = 0; i < values.size(); ++i) TRANCHE_TRY(BindOne(statement, i + 1, values[i], command));
  return {};
}

Status Session::BindOne(Prepared& statement, idx_t index, const Value& value, const Command& command) {
  TypedValue typed;
  if (!value.text) {
    typed = TypedValue(duckdb_create_null_value());
  } else if (value.type == "VARCHAR") {
    typed = TypedValue(duckdb_create_varchar_length(value.text->data(), value.text->size()));
  } else {
    TRANCHE_ASSIGN(typed, Cast(*value.text, value.type));
  }
  if (duckdb_bind_value(statement.get(), index, typed.get()) != DuckDBSuccess) {
    return Fail(duckdb_prepare_error(statement.get()), command);
  }
  return {};
}

Result<TypedValue> Session::Cast(const std::string& text, const std::string& type) {
  if (!IsTypeName(type)) return tranche::Fail(Code::kJob, "this is no name of a type: '{}'", type);
  Command command{fmt::format("SELECT CAST($1 AS {})", type)};
  TRANCHE_ASSIGN(Prepared statement, Prepare(command));
  duckdb_bind_varchar_length(statement.get(), 1, text.data(), text.size());
  TRANCHE_ASSIGN(Answer answer, Run(statement, command));
  Chunk chunk(duckdb_fetch_chunk(*answer.out()));
  return FirstValue(chunk.get(), text);
}

Result<Answer> Session::Run(Prepared& statement, const Command& command) {
  Pending pending;
  if (duckdb_pending_prepared(statement.get(), pending.out()) != DuckDBSuccess) {
    return Fail(duckdb_pending_error(pending.get()), command);
  }
  return Finish(pending, command);
}

// DuckDB's own wait would spin while other threads have all the work, and take a processor from them.
Result<Answer> Session::Finish(Pending& pending, const Command& command) {
  constexpr std::chrono::microseconds kShortest(20), kLongest(500);
  auto pause = kShortest;
  for (bool done = false; !done;) {
    switch (duckdb_pending_execute_task(pending.get())) {
      case DUCKDB_PENDING_RESULT_NOT_READY:
        pause = kShortest;
        break;
      case DUCKDB_PENDING_NO_TASKS_AVAILABLE:
        std::this_thread::sleep_for(pause);
        pause = std::min(2 * pause, kLongest);
        break;
      default:
        done = true;
    }
  }
  Answer answer;
  if (duckdb_execute_pending(pending.get(), answer.out()) != DuckDBSuccess) {
    return Fail(duckdb_result_error(answer.out()), command);
  }
  return answer;
}

Result<Answer> Session::Stream(Prepared& statement, const Command& command) {
  Pending pending;
  if (duckdb_pending_prepared_streaming(statement.get(), pending.out()) != DuckDBSuccess) {
    return Fail(duckdb_pending_error(pending.get()), command);
  }
  return Finish(pending, command);
}

void Session::Interrupt() {
  interrupted_ = true;
  duckdb_interrupt(connection_.get());
}

void Session::CountScans() {
  scans_ = ReadScanCounts(connection_.get());
  std::ranges::move(instance_->TakeCounts(connection_id_), std::back_inserter(scans_));
}

}  // namespace tranche::duckdb
