// The commands: one file each. What stands on the command line comes in as plain flags; command_line.cc reads
// it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/cli/session.h"

namespace tranche {

class StopSignal;

inline constexpr const char* kVersion = "0.1.0";

struct RunFlags {
  std::vector<std::string> jobs;
  bool again = false;
  bool yes = false;
  bool trust_target = false;
  bool keep_batches = false;
  bool watch = false;
  int64_t limit = 0;
  std::string segment;  // bytes of a spool's segment: for tests
  std::string scratch;  // a trial's folder: the job is rehearsed there (prove/rehearsal.h)
};
Status RunCommand(Session& session, const RunFlags& flags);
// One job with one set of parameters, as `run` does it.
Status RunOne(Session& session, const RunFlags& flags, const std::string& path,
              const std::map<std::string, std::string>& set, StopSignal& stop);

struct ValidateFlags {
  std::vector<std::string> paths;  // job files, and folders of them
};
Status ValidateCommand(Session& session, const ValidateFlags& flags);

struct PlanFlags {
  std::string path;
};
Status PlanCommand(Session& session, const PlanFlags& flags);

struct PreviewFlags {
  std::string path;
  std::string name;
  int64_t rows = 20;
};
Status PreviewCommand(Session& session, const PreviewFlags& flags);

struct NewFlags {
  std::vector<std::string> files;
  std::string out;
};
Status NewCommand(Session& session, const NewFlags& flags);

struct StatusFlags {
  std::string path;
  int64_t run = 0;  // 0 = all
};
Status StatusCommand(Session& session, const StatusFlags& flags);

struct ReportFlags {
  std::string path;
  int64_t run = 0;
  std::string out;
};
Status ReportCommand(Session& session, const ReportFlags& flags);

struct RejectsFlags {
  std::string path;
  int64_t run = 0;
  int64_t limit = 100;
  int64_t number = 0;
  std::string from;  // mended rows
};
Status RejectsListCommand(Session& session, const RejectsFlags& flags);
Status RejectsShowCommand(Session& session, const RejectsFlags& flags);
Status RejectsRetryCommand(Session& session, const RejectsFlags& flags);

struct TraceFlags {
  std::string path;
  std::vector<std::string> key;  // column=value, or the values of a store's key
  std::string store;
  int64_t limit = 100;
};
Status TraceCommand(Session& session, const TraceFlags& flags);

struct ProveFlags {
  std::string path;
  int64_t rows = 10'000;
  int64_t kills = 20;
  std::optional<uint64_t> seed;
  std::string out;
};
Status ProveCommand(Session& session, const ProveFlags& flags);

struct DocsFlags {
  std::string name;
  bool schema = false;
  bool failpoints = false;
  std::string reference;
};
Status DocsCommand(Session& session, const DocsFlags& flags);

}  // namespace tranche
