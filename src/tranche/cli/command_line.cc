#include "tranche/cli/command_line.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <CLI/CLI.hpp>

#include "tranche/cli/commands.h"

namespace tranche {
namespace {

using Action = std::function<Status(Session&)>;

// A subcommand whose flags live as long as the action that uses them.
template <typename CommandFlags>
struct Command {
  CLI::App* app;
  std::shared_ptr<CommandFlags> flags = std::make_shared<CommandFlags>();

  Command(CLI::App& parent, Action& chosen, const char* name, const char* help,
          Status (*run)(Session&, const CommandFlags&))
      : app(parent.add_subcommand(name, help)) {
    app->callback([&chosen, run, flags = flags] {
      chosen = [run, flags](Session& session) { return run(session, *flags); };
    });
  }
  CommandFlags* operator->() { return flags.get(); }
};

// A validator with words of its own.
CLI::Validator AtLeastOne() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        const auto number = ParseInteger(text);
        if (!number) return fmt::format("wants a whole number, not '{}'", text);
        return *number >= 1 ? "" : fmt::format("is at least 1, not {}", text);
      },
      "N");
}

void AddGlobalFlags(CLI::App& app, Flags& flags) {
  app.add_option("--set", flags.set, "A parameter: name=value; a range of dates a..b is a run a day.")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->take_all();
  app.add_option("--state", flags.state, "Where state lies; else .tranche/ beside the job file.")
      ->envname("TRANCHE_STATE");
  app.add_option("--env-file", flags.env_file, "Lines NAME=VALUE for ${env:…} and ${secret:…}.");
  app.add_flag("--json", flags.json, "Log one JSON object a line.");
  app.add_flag("-q,--quiet", flags.quiet, "Only warnings and errors.");
  app.add_flag("-v,--verbose", flags.verbose, "More of what happens.");
  app.add_option("--memory", flags.memory,
                 "Most memory of the process, such as 2GiB; else half of the machine's.");
  app.add_option("--threads", flags.threads, "Threads of the engine; else what the machine has.")
      ->check(AtLeastOne());
  app.add_option("--engine", flags.engine, "duckdb");
}

void AddRun(CLI::App& app, Action& chosen) {
  Command<RunFlags> run(app, chosen, "run", "Run a job, or resume it where it stopped.", RunCommand);
  run.app->add_option("JOB", run->jobs, "Job files.")->required();
  run.app->add_flag("--again", run->again, "A new run even if nothing is new; gives up an unfinished one.");
  run.app->add_flag("--yes", run->yes, "Answers the question of --again on a store that appends.");
  run.app
      ->add_option("--limit", run->limit, "At most so many rows of each input that flows; a run of its own.")
      ->check(AtLeastOne());
  run.app->add_flag("--watch", run->watch, "For inputs that never end.");
  run.app->add_flag("--trust-target", run->trust_target,
                    "Take the ledger in the target as it is, though it differs.");
  run.app->add_flag("--keep-batches", run->keep_batches,
                    "Keep its batches and rows when it is finished, for `trace`.");
  run.app->add_option("--segment", run->segment)->group("");  // for tests, which have few rows
  run.app->add_option("--scratch", run->scratch)->group("");  // how `prove` starts it: not for people
  run.app->footer(
      "Exit codes: 0 done, or nothing new; 1 stopped, run it again to resume; 2 the job or the command line "
      "is wrong,\n"
      "nothing has run; 3 the data need a person; 4 another run holds the job; 70 our bug.");
}

void AddLooks(CLI::App& app, Action& chosen) {
  Command<ValidateFlags> validate(
      app, chosen, "validate", "Check job files offline: opens no input, needs no secret.", ValidateCommand);
  validate.app->add_option("JOB", validate->paths, "Job files, or folders of them.")->required();

  Command<PlanFlags> plan(app, chosen, "plan",
                          "Show what a run would do: stages, queries, stores. Writes nothing.", PlanCommand);
  plan.app->add_option("JOB", plan->path, "A job file.")->required();

  Command<PreviewFlags> preview(app, chosen, "preview",
                                "Show the first rows of an input, a branch or a step.", PreviewCommand);
  preview.app->add_option("JOB", preview->path, "A job file.")->required();
  preview.app->add_option("NAME", preview->name,
                          "An input, a branch, or a step such as 'prepare 2'; else what is stored.");
  preview.app->add_option("--rows", preview->rows, "How many.")->check(AtLeastOne())->capture_default_str();

  Command<NewFlags> fresh(app, chosen, "new",
                          "Guess a commented job from data files. Never writes over a file.", NewCommand);
  fresh.app->add_option("FILE", fresh->files, "Data files.")->required();
  fresh.app->add_option("-o,--output", fresh->out, "The job file; '-' is standard output.");
}

void AddProve(CLI::App& app, Action& chosen) {
  Command<ProveFlags> prove(app, chosen, "prove",
                            "Kill the job at every step, on scratch targets, and compare what is stored.",
                            ProveCommand);
  prove.app->add_option("JOB", prove->path, "A job file.")->required();
  prove.app->add_option("--rows", prove->rows, "At most so many rows of each input that flows.")
      ->check(AtLeastOne())
      ->capture_default_str();
  prove.app->add_option("--kills", prove->kills, "At so many random moments, beside every step.")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  prove.app->add_option("--seed", prove->seed, "Of what is random; the certificate has it.");
  prove.app->add_option("-o,--output", prove->out, "The certificate as an HTML page, too.");
  prove.app->footer(
      R"(The job is run on some of its rows, into targets of the same kind in a folder of its own: copies of
databases' definitions, other paths for files. It is killed (kill -9) at every durable action that it
comes by and at random moments, resumed, and killed while it resumes. What it has stored in the end must
be, row for row, what an undisturbed run has stored. The real targets and state are only read.
Exit codes: 0 proved; 3 something was lost or doubled, or the job does not get through on these rows.)");
}

void AddTrace(CLI::App& app, Action& chosen) {
  Command<TraceFlags> trace(app, chosen, "trace",
                            "Follow a stored row back to its run, its batch and its file.", TraceCommand);
  trace.app->add_option("JOB", trace->path, "A job file.")->required();
  trace.app
      ->add_option("KEY", trace->key,
                   "The key's value, one for each of its columns; or column=value, one or several.")
      ->required();
  trace.app->add_option("--store", trace->store, "Only what this store was sent.");
  trace.app->add_option("--limit", trace->limit, "At most so many rows of a run and store.")
      ->check(AtLeastOne())
      ->capture_default_str();
  trace.app->footer(
      R"(It looks into runs that were begun or resumed with `run --keep-batches`, and into one that is not finished:
which run and batch stored the row and when, what became of it, from which file it was read, and the row as it
was sent. A row that was rejected is found in all runs. Runs are removed from what is kept by removing their
folders, .tranche/<job>/kept/<run>.)");
}

void AddRecords(CLI::App& app, Action& chosen) {
  Command<StatusFlags> status(app, chosen, "status", "Show what runs, what ran and what failed.",
                              StatusCommand);
  status.app->add_option("JOB", status->path, "A job file; without it all jobs with state in this folder.");
  status.app->add_option("RUN", status->run, "Its number.");

  Command<ReportFlags> report(app, chosen, "report", "Write the report of a run: one HTML file with charts.",
                              ReportCommand);
  report.app->add_option("JOB", report->path, "A job file.")->required();
  report.app->add_option("RUN", report->run, "Its number; the newest if left out.");
  report.app->add_option("-o,--output", report->out, "Where to; '-' is standard output.");

  CLI::App* rejects = app.add_subcommand("rejects", "Show the rows that were refused, and why.");
  rejects->require_subcommand(1);
  Command<RejectsFlags> list(*rejects, chosen, "list", "List them, with their places and reasons.",
                             RejectsListCommand);
  list.app->add_option("JOB", list->path, "A job file.")->required();
  list.app->add_option("RUN", list->run, "Its number; the newest if left out.");
  list.app->add_option("--limit", list->limit, "At most so many.")
      ->check(AtLeastOne())
      ->capture_default_str();
  Command<RejectsFlags> show(*rejects, chosen, "show", "Show one, with its whole row.", RejectsShowCommand);
  show.app->add_option("JOB", show->path, "A job file.")->required();
  show.app->add_option("NUMBER", show->number, "As `rejects list` numbers them.")
      ->required()
      ->check(AtLeastOne());
  show.app->add_option("--run", show->run, "The run's number; the newest if left out.");
  Command<RejectsFlags> retry(*rejects, chosen, "retry", "Store them once more, each once.",
                              RejectsRetryCommand);
  retry.app->add_option("JOB", retry->path, "A job file.")->required();
  retry.app->add_option("--run", retry->run, "The run's number; the newest if left out.");
  retry.app->add_option("--from", retry->from,
                        "Mended rows (.csv or .json) instead: the column `number` says of which reject.");
  retry.app->footer(
      R"(A run of its own, whose input is what the last run has refused: rows go on at the step or in the store
that refused them. What is refused again stays open; `rejects list` shows what is open. After a crash, retry
again: it resumes. Rows that could not be read, or were cut at 64 KiB, need --from. Rows that a step with
other rows (aggregate, sort, join) would still have to see cannot be retried, nor what `replace` stores.)");

  Command<DocsFlags> docs(app, chosen, "docs", "Explain connectors and steps with all their options.",
                          DocsCommand);
  docs.app->add_option("NAME", docs->name, "A connector or a step.");
  docs.app->add_flag("--schema", docs->schema, "The JSON Schema of job files, for editors.");
  docs.app->add_option("--reference", docs->reference, "Write the whole reference into this folder.");
  docs.app->add_flag("--failpoints", docs->failpoints, "The places where a test may kill the program.");
}

std::vector<std::string> FlagsOf(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

// Made from the parser itself, so that it is never stale.
std::string CompletionScript(const CLI::App& app, const std::string& shell) {
  std::vector<std::string> commands;
  std::string fish;
  std::string cases;
  const std::string everywhere = fmt::format("{}", fmt::join(FlagsOf(app), " "));
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = command->get_name();
    commands.push_back(name);
    fish += fmt::format("complete -c tranche -n __fish_use_subcommand -a {} -d '{}'\n", name,
                        command->get_description());
    cases += fmt::format("    {}) flags='{} {}' ;;\n", name, fmt::join(FlagsOf(*command), " "), everywhere);
    for (const std::string& flag : FlagsOf(*command)) {
      fish += fmt::format("complete -c tranche -n '__fish_seen_subcommand_from {}' -l {}\n", name,
                          flag.substr(2));
    }
  }
  if (shell == "fish") {
    for (const std::string& flag : FlagsOf(app))
      fish += fmt::format("complete -c tranche -l {}\n", flag.substr(2));
    return fish;
  }
  const std::string bash = fmt::format(R"(_tranche() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} flags='{}'
  case ${{COMP_WORDS[1]}} in
{}  esac
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W '{}' -- "$word"))
  elif [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _tranche tranche
)",
                                       everywhere, cases, fmt::join(commands, " "));
  return shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" + bash : bash;
}

// What stood on the command line and has no meaning there.
std::string Unknown(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::vector<std::string> words = app.remaining(/*recurse=*/true);
  const auto flag =
      std::ranges::find_if(words, [](const std::string& word) { return word.starts_with("-"); });
  const std::string word = flag != words.end() ? *flag : words.front();
  std::vector<std::string> known = FlagsOf(app);
  std::string what = fmt::format("unknown flag '{}'", word);
  if (flag != words.end()) {
    for (const std::string& name : FlagsOf(*command)) known.push_back(name);
  } else if (command == &app) {
    known.clear();
    for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(each->get_name());
    what = fmt::format("there is no command '{}'", word);
  } else {
    return fmt::format("'{}' is one argument too many for '{}'", word, command->get_name());
  }
  const std::string nearest = Nearest(word, known);
  return what +
         (nearest.empty() ? "; `tranche --help` lists them" : fmt::format("; did you mean '{}'?", nearest));
}

}  // namespace

CommandLine ParseCommandLine(int argc, char** argv) {
  CommandLine line;
  CLI::App app("Batches that commit exactly once: collect, prepare, group, process, store.", "tranche");
  app.set_version_flag("--version", std::string("tranche ") + kVersion);
  app.require_subcommand(0, 1);
  app.fallthrough();
  app.failure_message(CLI::FailureMessage::simple);
  AddGlobalFlags(app, line.flags);
  std::string shell;
  app.add_option("--completion", shell, "Print the completion script of a shell.")
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  AddRun(app, line.action);
  AddLooks(app, line.action);
  AddRecords(app, line.action);
  AddTrace(app, line.action);
  AddProve(app, line.action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {
    fmt::print(stderr, "{}\n", Unknown(app));
    line.exit = ExitCode(Code::kJob);
    return line;
  } catch (const CLI::ParseError& error) {
    line.exit = app.exit(error) == 0 ? 0 : ExitCode(Code::kJob);
    return line;
  }
  if (!shell.empty() || !line.action) {
    std::fputs((shell.empty() ? app.help() : CompletionScript(app, shell)).c_str(), stdout);
    line.exit = 0;
  }
  return line;
}

}  // namespace tranche
