#include "tranche/run/inputs.h"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

namespace tranche {
namespace {

std::string Described(const FileIdentity& identity) { return FormatCount(identity.size) + " bytes"; }

// Each table has runs of its own.
Result<std::vector<std::string>> FinishedSplits(const Job& job, const Input& input, State& state) {
  return state.FinishedSplits(input.name, TableOf(job.parameters));
}

// The mark of the last finished run that read something of the input.
Result<std::string> MarkOf(const Job& job, const Input& input, const InputsContext& context) {
  if (!input.increment || context.state == nullptr) return std::string();
  TRANCHE_ASSIGN(auto finished, FinishedSplits(job, input, *context.state));
  std::string mark;
  for (const std::string& json : finished) {
    TRANCHE_ASSIGN(Split split, ParseSplit(json));
    if (!split.mark.empty()) mark = std::move(split.mark);
  }
  return mark;
}

// Files that finished runs have read are passed over; one that has changed since is an error: reading it
// again would store its rows twice, leaving it out would lose what is new.
Result<std::vector<Split>> OnlyNew(const Job& job, const Input& input, std::vector<Split> splits,
                                   State& state) {
  std::map<std::string, FileIdentity> read;
  TRANCHE_ASSIGN(auto finished, FinishedSplits(job, input, state));
  for (const std::string& json : finished) {
    TRANCHE_ASSIGN(Split split, ParseSplit(json));
    read[split.name] = split.identity;
  }
  std::vector<Split> fresh;
  for (Split& split : splits) {
    const auto found = read.find(split.name);
    if (found == read.end()) {
      fresh.push_back(std::move(split));
      continue;
    }
    const FileIdentity& then = found->second;
    const bool same = then.size == split.identity.size && then.modified_ns == split.identity.modified_ns;
    if (!same) {
      return Fail(Code::kData, "'{}' was read by an earlier run and has changed since ({} then, {} now)",
                  split.name, Described(then), Described(split.identity))
          .Hint("give the new rows a file of their own")
          .At(input.place);
    }
  }
  return fresh;
}

}  // namespace

std::string ToJson(const Split& split) {
  const FileIdentity& identity = split.identity;
  return nlohmann::json{{"name", split.name},
                        {"size", identity.size},
                        {"modified", identity.modified_ns},
                        {"changed", identity.changed_ns},
                        {"inode", identity.inode},
                        {"detail", split.detail},
                        {"mark", split.mark}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Split> ParseSplit(std::string_view text) {
  Split split;
  try {
    const auto json = nlohmann::json::parse(text);
    json.at("name").get_to(split.name);
    json.at("size").get_to(split.identity.size);
    json.at("modified").get_to(split.identity.modified_ns);
    json.at("changed").get_to(split.identity.changed_ns);
    json.at("inode").get_to(split.identity.inode);
    json.at("detail").get_to(split.detail);
    split.mark = json.value("mark", "");
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "state.db: a split cannot be read: {}", error.what());
  }
  return split;
}

SourceContext InputsContext::For(const Job& job, const Input& input) const {
  return {.input = input.name,
          .engine = engine,
          .scratch = scratch,
          .parameters = parameters,
          .increment = input.increment ? &*input.increment : nullptr,
          .log = log,
          .alone = job.inputs.size() == 1,
          .places = places && job.Flows(input.name),
          .try_again =
              [policy = input.retry, stop = stop](int attempt) {
                if (attempt >= policy.attempts || (stop != nullptr && stop->requested())) return false;
                SystemClock().Sleep(policy.Pause(attempt, std::random_device()()));
                return true;
              },
          .timeout = input.retry.timeout};
}

Result<std::unique_ptr<Source>> OpenSource(const SourceSpec& spec, const Node& value,
                                           SourceContext& context) {
  TRANCHE_ASSIGN(auto source, spec.make(Options(&spec.shape, &value)));
  TRANCHE_ASSIGN(auto splits, source->Plan(context));
  TRANCHE_TRY(source->Open(std::move(splits), context));
  return source;
}

Result<Sources> MakeSources(const Job& job) {
  Sources sources;
  for (const Input& input : job.inputs) {
    auto source = input.spec->make(Options(&input.spec->shape, &input.value));
    if (!source) return std::move(source).error().At(input.place);
    sources[input.name] = *std::move(source);
  }
  return sources;
}

Result<std::vector<SplitRecord>> PlanInputs(const Job& job, Sources& sources, const InputsContext& context) {
  std::vector<SplitRecord> records;
  for (const Input& input : job.inputs) {
    Source& source = *sources.at(input.name);
    SourceContext source_context = context.For(job, input);
    TRANCHE_ASSIGN(source_context.mark, MarkOf(job, input, context));
    auto splits = source.Plan(source_context);
    if (!splits) return std::move(splits).error().At(input.place);
    if (input.new_files && context.state != nullptr) {
      splits = OnlyNew(job, input, *std::move(splits), *context.state);
      if (!splits) return std::move(splits).error();
    }
    for (const Split& split : *splits) records.push_back({.input = input.name, .split = ToJson(split)});
    if (splits->empty()) continue;
    if (Status opened = source.Open(*std::move(splits), source_context); !opened) {
      return std::move(opened).error().At(input.place);
    }
  }
  return records;
}

Status OpenInputs(const Job& job, Sources& sources, const std::vector<SplitRecord>& records,
                  const InputsContext& context) {
  for (const Input& input : job.inputs) {
    std::vector<Split> splits;
    for (const SplitRecord& record : records) {
      if (record.input != input.name) continue;
      TRANCHE_ASSIGN(Split split, ParseSplit(record.split));
      splits.push_back(std::move(split));
    }
    SourceContext source_context = context.For(job, input);
    if (Status opened = sources.at(input.name)->Open(std::move(splits), source_context); !opened) {
      return std::move(opened).error().At(input.place);
    }
  }
  return {};
}

std::vector<std::string> ChangesSince(const std::vector<SplitRecord>& records) {
  std::vector<std::string> changes;
  for (const SplitRecord& record : records) {
    const auto then = ParseSplit(record.split);
    if (!then || then->identity == FileIdentity{}) continue;  // no file: it can't be looked at again
    const auto now = Identify(then->name);
    if (!now) {
      changes.push_back(now.error().message);
    } else if (*now != then->identity) {
      changes.push_back(fmt::format("{} has changed ({} then, {} now)", then->name, Described(then->identity),
                                    Described(*now)));
    }
  }
  return changes;
}

bool SameFiles(const std::vector<SplitRecord>& a, const std::vector<SplitRecord>& b) {
  return std::ranges::equal(a, b, [](const SplitRecord& left, const SplitRecord& right) {
    const auto one = ParseSplit(left.split);
    const auto other = ParseSplit(right.split);
    return left.input == right.input && one && other && one->name == other->name &&
           one->identity == other->identity && one->identity != FileIdentity{};
  });
}

std::vector<SplitRecord> CurrentSplits(const Job& job, const Sources& sources) {
  std::vector<SplitRecord> records;
  for (const Input& input : job.inputs) {
    for (const Split& split : sources.at(input.name)->splits()) {
      records.push_back({.input = input.name, .split = ToJson(split)});
    }
  }
  return records;
}

}  // namespace tranche
