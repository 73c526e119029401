// What `tranche trace` is asked, and whether a store or a row that was refused is meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tranche/job/job.h"
#include "tranche/run/kept_rows.h"

namespace tranche {

struct TraceQuestion {
  std::vector<std::pair<std::string, std::string>> where = {};  // columns and their values: all must hold
  std::vector<std::string> key = {};  // instead: the values of a store's key, in the order of its columns
  std::string store = {};             // only of this one; empty: of all
  std::string table = {};             // only runs of this one; empty: of all
  int64_t most = 100;                 // rows of a run and store
};

std::vector<std::string> SplitAtCommas(const std::string& text);

// The columns of a store's `key`; none where it has none.
std::vector<std::string> KeyOf(const Store& store);

// What is asked of one store; nothing where it is not meant.
std::optional<Conditions> AskedOf(const Store& store, const TraceQuestion& question);

// Whether the content of a reject is a row (JSON) that has these values.
bool Meets(const std::string& content, const Conditions& where);
// Whether a line that could not be read holds these values, each as a word of its own.
bool Holds(const std::string& line, const Conditions& where);

}  // namespace tranche
