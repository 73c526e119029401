// ReportData's JSON, one key a field, and how rejects are counted.

#include <nlohmann/json.hpp>

#include "tranche/report/report.h"

namespace nlohmann {
template <typename T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& out, const std::optional<T>& value) {
    out = value ? json(*value) : json(nullptr);
  }
  static void from_json(const json& in, std::optional<T>& value) {
    if (!in.is_null()) value = in.get<T>();
  }
};
}  // namespace nlohmann

namespace tranche {

// A field that is missing keeps its default: summaries of older versions can be read.
#define TRANCHE_JSON(...) NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(__VA_ARGS__)

NLOHMANN_JSON_SERIALIZE_ENUM(ReportData::Flow::Kind, {{ReportData::Flow::Kind::kInput, "input"},
                                                      {ReportData::Flow::Kind::kStage, "stage"}})
TRANCHE_JSON(Column, name, type)
TRANCHE_JSON(Counts, sent, stored, superseded, unmatched, rejected)
TRANCHE_JSON(Reject, origin, reason, column, file, line, byte, row, content)

template <typename T>
void to_json(nlohmann::json& out, const Thinned<T>& value) {
  out = {{"items", value.items}, {"stride", value.stride}, {"seen", value.seen}};
}
template <typename T>
void from_json(const nlohmann::json& in, Thinned<T>& value) {
  in.at("items").get_to(value.items);
  in.at("stride").get_to(value.stride);
  in.at("seen").get_to(value.seen);
  value.stride = std::max<int64_t>(value.stride, 1);
}

TRANCHE_JSON(ReportData::Input, name, connector, description, read, exact, rejected, splits, bytes)
TRANCHE_JSON(ReportData::Flow, kind, name, rows, joined)
TRANCHE_JSON(ReportData::Stage, name, kind, from, steps, sql, filtered, rejected, folds, folded, rows,
             equation, bytes, seconds)
TRANCHE_JSON(ReportData::Progress, seconds, rows, bytes)
TRANCHE_JSON(ReportData::BatchSample, rows, bytes, seconds)
TRANCHE_JSON(ReportData::Sample, columns, rows, spread)
TRANCHE_JSON(ReportData::Store, name, connector, description, guarantee, stage, counts, published, bytes,
             retries, seconds, chosen_rows, batches, progress, sample)
TRANCHE_JSON(ReportData::RejectReason, origin, reason, rows)
TRANCHE_JSON(ReportData, job, job_file, run_id, run_number, outcome, message, started, finished, starts,
             balanced, warnings, inputs, stages, stores, reject_reasons, rejects, parameters, environment)

namespace {

constexpr size_t kMostRejects = 20;
constexpr size_t kMostReasons = 200;
constexpr std::string_view kOtherReasons = "other reasons";

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80); }

}  // namespace

std::string ReasonPattern(std::string_view reason) {
  // What follows a quoted name and a colon is the job's own text, the expression of a check.
  std::string_view expression;
  if (size_t colon = reason.find("': "); colon != std::string_view::npos) {
    expression = reason.substr(colon);
    reason = reason.substr(0, colon);
  }
  std::string pattern;
  for (size_t i = 0; i < reason.size();) {
    char c = reason[i];
    bool starts_word = i == 0 || !IsWord(reason[i - 1]);
    if (std::isdigit(static_cast<unsigned char>(c)) && starts_word) {
      while (i < reason.size() &&
             (IsWord(reason[i]) || (reason[i] == '.' && i + 1 < reason.size() && IsWord(reason[i + 1]))))
        ++i;
      if (pattern.ends_with('-')) pattern.pop_back();
      pattern += "…";
      continue;
    }
    size_t closing = c == '"' ? reason.find('"', i + 1) : std::string_view::npos;
    if (closing != std::string_view::npos) {
      pattern += "\"…\"";
      i = closing + 1;
      continue;
    }
    pattern += c;
    ++i;
  }
  pattern += expression;
  return pattern;
}

void ReportData::AddReject(const Reject& reject) {
  std::string pattern = ReasonPattern(reject.reason);
  auto same = [&](const std::string& reason) {
    return std::ranges::find_if(reject_reasons, [&](const RejectReason& known) {
      return known.origin == reject.origin && known.reason == reason;
    });
  };
  auto found = same(pattern);
  if (found == reject_reasons.end() && reject_reasons.size() >= kMostReasons)
    found = same(pattern = kOtherReasons);
  if (found == reject_reasons.end()) {
    reject_reasons.push_back({reject.origin, pattern, 1});
  } else {
    ++found->rows;
  }
  if (rejects.size() < kMostRejects) rejects.push_back(reject);
}

std::string ToJson(const ReportData& data) {
  return nlohmann::json(data).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<ReportData> ParseSummary(std::string_view json) {
  try {
    return nlohmann::json::parse(json).get<ReportData>();
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kOutside, "the run's summary cannot be read: {}", error.what())
        .Hint("state.db may be damaged or of a newer version");
  }
}

}  // namespace tranche
