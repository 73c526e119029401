#include <memory>
#include <random>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/prove/certificate.h"

namespace tranche {
namespace {

// `run` as a trial starts it: the same job with the same parameters, whatever day it is by then.
std::vector<std::string> RunArguments(const Session& session, const Job& job, const std::string& path) {
  const Flags& flags = session.flags();
  std::vector<std::string> arguments{"run", path, "-q", "--threads", "1"};
  for (const auto& [name, value] : job.parameters) {
    arguments.insert(arguments.end(), {"--set", fmt::format("{}={}", name, value)});
  }
  if (!flags.env_file.empty()) arguments.insert(arguments.end(), {"--env-file", flags.env_file});
  if (!flags.memory.empty()) arguments.insert(arguments.end(), {"--memory", flags.memory});
  return arguments;
}

Status HandOut(Session& session, const Certificate& certificate, const std::string& out) {
  if (!out.empty()) TRANCHE_TRY(WriteFileDurably(out, session.log().Redacted(CertificatePage(certificate))));
  fmt::print("{}", session.log().Redacted(session.flags().json ? CertificateJson(certificate)
                                                               : CertificateText(certificate)));
  if (certificate.failed() == 0) return {};
  return Fail(Code::kData, "not proved: {} of {} trials ended with other rows", certificate.failed(),
              certificate.trials.size())
      .Hint("the trials lie in " + certificate.kept);
}

Status ProveOne(Session& session, const ProveFlags& flags, const std::string& table, StopSignal& stop) {
  TRANCHE_ASSIGN(const Job job, session.Load(flags.path, session.SetOf(table), NewId()));
  TRANCHE_TRY(session.Apply(job));
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  const std::string folder = session.FolderOf(job) + "/prove/" + NewId().substr(0, 8);
  ProofOptions options{.rows = flags.rows,
                       .kills = flags.kills,
                       .seed = flags.seed ? *flags.seed : std::random_device()(),
                       .folder = folder,
                       .arguments = RunArguments(session, job, flags.path),
                       .version = kVersion};
  ProofEnvironment environment{
      .registry = session.registry(),
      .load = [&](const std::map<std::string, std::string>& set,
                  const std::string& run_id) { return session.Load(flags.path, set, run_id); },
      .parameters = job.parameters,
      .engine = *engine,
      .make_engine = [&] { return MakeDuckDb({.threads = 1, .spill_folder = folder + "/spill"}); },
      .clock = SystemClock(),
      .log = session.log(),
      .stop = stop};
  TRANCHE_ASSIGN(const Certificate certificate, Prove(options, environment));
  return HandOut(session, certificate, flags.out);
}

// A job that runs once a table, table by table; the first failure is the outcome.
Status ProveAll(Session& session, const ProveFlags& flags, StopSignal& stop) {
  TRANCHE_ASSIGN(const auto tables, session.TablesOf(flags.path));
  if (tables.empty()) return ProveOne(session, flags, "", stop);
  if (!flags.out.empty() && tables.size() > 1) {
    return Fail(Code::kJob, "--out is one page, and the job has {} tables", tables.size())
        .Hint("name one by --set table=…");
  }
  Status all;
  for (const std::string& table : tables) {
    session.log().Info(fmt::format("table '{}'", table));
    Status one = ProveOne(session, flags, table, stop);
    TRANCHE_TRY(stop.Check());
    if (one) continue;
    if (all) all = std::move(one).error().In(fmt::format("table '{}'", table));
  }
  return all;
}

}  // namespace

Status ProveCommand(Session& session, const ProveFlags& flags) {
  StopSignal stop;
  stop.Install();
  Status done = ProveAll(session, flags, stop);
  stop.RaiseAgain();
  return done;
}

}  // namespace tranche
