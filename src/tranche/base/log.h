// Log lines on stderr, for people or as JSON. Passed by reference; thread-safe.
//
//   Logger log(stderr, SystemClock(), {.json = true});
//   log.Redact(password);                               // shows as *** in every line from now on
//   log.Info("run begun", {{"run", "7"}, {"job", name}});
//
// text  run begun run=7 job=sales                         (a warning begins with "warning: ", an error with
// "error: ") json  {"time":"2026-11-20T14:03:07.123456Z","level":"info","event":"run
// begun","run":"7","job":"sales"}
//
// One call is one line: control characters in values are shown escaped.
#pragma once

#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tranche/base/clock.h"

namespace tranche {

enum class Verbosity { kQuiet, kNormal, kVerbose };  // warnings and errors; and info; and debug

struct LogOptions {
  bool json = false;
  Verbosity verbosity = Verbosity::kNormal;
};

class Logger {
 public:
  // Values are shown as they are: numbers stay numbers in JSON.
  using Value = std::variant<std::string, int64_t, double, bool>;
  using Fields = std::initializer_list<std::pair<std::string_view, Value>>;

  Logger(std::FILE* out, Clock& clock, LogOptions options = {});
  Logger(const Logger&) = delete;

  void Debug(std::string_view event, Fields fields = {}) { Write(Level::kDebug, event, fields); }
  void Info(std::string_view event, Fields fields = {}) { Write(Level::kInfo, event, fields); }
  void Warn(std::string_view event, Fields fields = {}) { Write(Level::kWarn, event, fields); }
  void Error(std::string_view event, Fields fields = {}) { Write(Level::kError, event, fields); }

  void Redact(std::string secret);                    // an empty one is ignored
  std::string Redacted(std::string_view text) const;  // for what is shown by other ways (reports, rejects)

  bool json() const { return options_.json; }
  Verbosity verbosity() const { return options_.verbosity; }

 private:
  enum class Level { kDebug, kInfo, kWarn, kError };
  void Write(Level level, std::string_view event, Fields fields);
  std::string JsonLine(Level level, std::string_view event, Fields fields) const;
  std::string TextLine(Level level, std::string_view event, Fields fields) const;

  std::FILE* out_;
  Clock& clock_;
  LogOptions options_;
  mutable std::mutex mutex_;
  std::vector<std::string> secrets_;  // longest first, so that none hides a part of a longer one
};

}  // namespace tranche
