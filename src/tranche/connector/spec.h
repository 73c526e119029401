// Specs: what a connector or step is. The only source of its parsing, validation, documentation, reference
// and JSON Schema. A connector's author writes one .cc file with the class and a function that returns its
// spec, adds one line to cli/builtin.cc and one fixture to tests/conformance/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/connector/options.h"
#include "tranche/connector/sink.h"
#include "tranche/connector/source.h"
#include "tranche/connector/step.h"
#include "tranche/connector/tables.h"

namespace tranche {

struct ComponentSpec {
  std::string name;     // the key in the job file
  std::string summary;  // one line, a verb first: "Reads comma-separated files."
  std::string doc;      // paragraphs of Markdown; may be empty
  Shape shape;          // of its value
  std::string
      example;  // a piece of YAML as it stands in a job: the whole component, runnable in the docs' test
};

struct SourceSpec : ComponentSpec {
  std::function<Result<std::unique_ptr<Source>>(const Options&)> make;
  bool incremental = false;  // takes an Increment
  bool remote = false;       // is reached over a network: `retry` may stand beside it
  // The tables of a schema ("": that of the connection), for a `table` that is a list or a pattern; its
  // options are read but for `table`. Null: `table` names one, or there is none.
  std::function<Result<SchemaTables>(const Options&, const std::string& schema, SourceContext&)> tables = {};
  bool files = true;  // its splits are files that can be looked at again (R18, incremental: new_files)
};

struct StepSpec : ComponentSpec {
  std::function<Result<std::unique_ptr<Step>>(const Options&)> make;
};

// Where `prove` may put targets.
struct ScratchPlace {
  std::string folder;  // for files: one for all stores of a job
  std::string name;    // for a schema or a database of a server: of a-z, 0-9 and _, and of no one else
  Engine* engine = nullptr;
};
// A target of the same kind as a store's own, in a scratch place.
struct ScratchTarget {
  Node value;                           // the store's options, which lead there
  std::function<Status()> remove = {};  // null where it goes with the folder
};

struct SinkSpec : ComponentSpec {
  std::function<Result<std::unique_ptr<Sink>>(const Options&)> make;
  // Moves the target into a scratch place, and makes there what a run expects to find: the definition of the
  // real target, which is only read. Called again for the same place it gives the same, and changes nothing.
  // Null: `prove` refuses the store.
  std::function<Result<ScratchTarget>(const Options&, const ScratchPlace&)> scratch;
  std::vector<std::string> modes;  // append, replace, upsert…; the first is the default
  std::string guarantee;           // "exactly once" | "at least once", and in half a sentence by what
  bool direct = false;             // can take one query whole, where the options say one file
  int parallel = 1;                // most batches that it takes at a time
  BatchPolicy policy;              // default
  std::string server;              // the field that names where the store's own ledger lies; may be empty
};

// What a build knows. Filled once, by cli/builtin.cc.
class Registry {
 public:
  void Add(SourceSpec spec) { sources_.push_back(std::move(spec)); }
  void Add(StepSpec spec) { steps_.push_back(std::move(spec)); }
  void Add(SinkSpec spec) { sinks_.push_back(std::move(spec)); }
  const SourceSpec* FindSource(std::string_view name) const;
  const StepSpec* FindStep(std::string_view name) const;
  const SinkSpec* FindSink(std::string_view name) const;
  const std::vector<SourceSpec>& sources() const { return sources_; }
  const std::vector<StepSpec>& steps() const { return steps_; }
  const std::vector<SinkSpec>& sinks() const { return sinks_; }

 private:
  std::vector<SourceSpec> sources_;
  std::vector<StepSpec> steps_;
  std::vector<SinkSpec> sinks_;
};

}  // namespace tranche
