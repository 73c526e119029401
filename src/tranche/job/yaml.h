// Reads a YAML file as a tree of Nodes: YAML 1.2, every scalar as it is written, every value with its place.
// What bites people is refused in our words: duplicate keys, nulls, tags, merge keys, tabs, several
// documents, commas that split an expression, quotes left open, aliases that blow up. docs/job-file.md has
// the table.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/node.h"

namespace tranche {

struct YamlLimits {
  size_t bytes = 4 << 20;  // of the file
  size_t text = 16 << 20;  // of all scalars, aliases put in
  size_t nodes = 100'000;  // aliases put in
  size_t depth = 64;
};

struct Yaml {
  Node root;
  bool readable = false;  // false: nothing more can be said about this file
  std::vector<Error> errors;
};

Yaml ParseYaml(std::string text, const std::string& file, const YamlLimits& limits = {});

// Stands where a value was refused already: nothing more is said about it.
Node Refused(Place place);
bool IsRefused(const Node& node);

}  // namespace tranche
