// StateJournal: the journal of one store, kept in the run's local state.
#pragma once

#include <ranges>
#include <string>
#include <vector>

#include "tranche/connector/sink.h"
#include "tranche/state/state.h"

namespace tranche {

class StateJournal : public Journal {
 public:
  StateJournal(State& state, std::string run, std::string store)
      : state_(state), run_(std::move(run)), store_(std::move(store)) {}

  Result<std::vector<Entry>> Entries() override {
    TRANCHE_ASSIGN(auto records, state_.Journal(run_, store_));
    std::vector<Entry> entries;
    for (JournalRecord& record : records) {
      entries.push_back({.span = record.span,
                         .counts = {.sent = record.sent,
                                    .stored = record.stored,
                                    .superseded = record.superseded,
                                    .unmatched = record.unmatched,
                                    .rejected = record.rejected},
                         .detail = std::move(record.detail)});
    }
    return entries;
  }
  Status Add(const Entry& entry, const std::vector<Reject>& rejects) override {
    return state_.AddJournal(run_, store_,
                             {.span = entry.span,
                              .sent = entry.counts.sent,
                              .stored = entry.counts.stored,
                              .superseded = entry.counts.superseded,
                              .unmatched = entry.counts.unmatched,
                              .rejected = entry.counts.rejected,
                              .detail = entry.detail},
                             rejects);
  }
  Status Remove(Span span) override { return state_.RemoveJournal(run_, store_, span); }
  Result<std::optional<std::string>> Note(std::string_view name) override {
    return state_.Note(run_, store_, name);
  }
  Status SetNote(std::string_view name, std::string_view value) override {
    return state_.SetNote(run_, store_, name, value);
  }
  Result<std::optional<int64_t>> FinishedAfter(std::string_view run, bool itself) override {
    TRANCHE_ASSIGN(auto runs, state_.Runs());
    for (const RunRecord& known : runs | std::views::reverse) {
      const bool is_it = known.id == run;
      if (is_it && !itself) break;
      if (known.state == RunState::kFinished) {
        TRANCHE_ASSIGN(const auto after, state_.Note(known.id, store_, kAfter));
        if (is_it || after == run) return known.number;
      }
      if (is_it) break;
    }
    return std::nullopt;
  }

 private:
  State& state_;
  std::string run_;
  std::string store_;
};

}  // namespace tranche
