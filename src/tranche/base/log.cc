#include "tranche/base/log.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace tranche {
namespace {

constexpr std::string_view kLevelNames[] = {"debug", "info", "warn", "error"};
constexpr std::string_view kPrefixes[] = {"", "", "warning: ", "error: "};

std::string EscapeControls(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      escaped += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      escaped += fmt::format("\\x{:02x}", byte);
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

Logger::Logger(std::FILE* out, Clock& clock, LogOptions options)
    : out_(out), clock_(clock), options_(options) {}

void Logger::Redact(std::string secret) {
  if (secret.empty()) return;
  std::lock_guard lock(mutex_);
  secrets_.push_back(std::move(secret));
  std::ranges::stable_sort(secrets_, std::ranges::greater(), &std::string::size);
}

std::string Logger::Redacted(std::string_view text) const {
  std::lock_guard lock(mutex_);
  std::string clean(text);
  for (const std::string& secret : secrets_) {
    for (size_t at = 0; (at = clean.find(secret, at)) != clean.npos; at += 3) {
      clean.replace(at, secret.size(), "***");
    }
  }
  return clean;
}

void Logger::Write(Level level, std::string_view event, Fields fields) {
  if (level == Level::kDebug && options_.verbosity != Verbosity::kVerbose) return;
  if (level == Level::kInfo && options_.verbosity == Verbosity::kQuiet) return;
  std::string line = (options_.json ? JsonLine(level, event, fields) : TextLine(level, event, fields)) + "\n";
  std::lock_guard lock(mutex_);
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

// Texts are redacted before they are escaped, else a secret with a quote in it would not be found.
std::string Logger::JsonLine(Level level, std::string_view event, Fields fields) const {
  nlohmann::ordered_json line;
  line["time"] = FormatTime(clock_.NowMicros());
  line["level"] = kLevelNames[static_cast<size_t>(level)];
  line["event"] = Redacted(event);
  for (const auto& [name, value] : fields) {
    auto& field = line[std::string(name)];
    if (const auto* text = std::get_if<std::string>(&value)) {
      field = Redacted(*text);
    } else {
      std::visit([&](const auto& plain) { field = plain; }, value);
    }
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string Logger::TextLine(Level level, std::string_view event, Fields fields) const {
  std::string line(kPrefixes[static_cast<size_t>(level)]);
  line += Redacted(event);
  for (const auto& [name, value] : fields) {
    line += fmt::format(" {}=", name);
    if (const auto* text = std::get_if<std::string>(&value)) {
      line += Redacted(*text);
    } else {
      std::visit([&](const auto& plain) { line += fmt::format("{}", plain); }, value);
    }
  }
  return EscapeControls(line);
}

}  // namespace tranche
