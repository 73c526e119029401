#include "tranche/cli/builtin.h"

#include "tranche/sinks/sinks.h"
#include "tranche/sources/sources.h"
#include "tranche/steps/steps.h"

namespace tranche {

Registry BuiltinRegistry() {
  Registry registry;
  registry.Add(CsvSource());
  registry.Add(JsonSource());
  registry.Add(ParquetSource());
  registry.Add(ArrowSource());
  registry.Add(MariaDbSource());
  registry.Add(PostgresSource());
  registry.Add(AdbcSource());
  registry.Add(SqliteSource());
  registry.Add(DuckDbSource());
  registry.Add(LinesSource());

  registry.Add(SqlStep());
  registry.Add(SelectStep());
  registry.Add(DropStep());
  registry.Add(DeriveStep());
  registry.Add(FilterStep());
  registry.Add(RenameStep());
  registry.Add(CastStep());
  registry.Add(FillStep());
  registry.Add(DedupeStep());
  registry.Add(SortStep());
  registry.Add(JoinStep());
  registry.Add(AggregateStep());
  registry.Add(LimitStep());
  registry.Add(SampleStep());
  registry.Add(CheckStep());

  registry.Add(CsvSink());
  registry.Add(JsonSink());
  registry.Add(ParquetSink());
  registry.Add(ArrowSink());
  registry.Add(SqliteSink());
  registry.Add(DuckDbSink());
  registry.Add(MariaDbSink());
  registry.Add(PostgresSink());
  registry.Add(AdbcSink());
  return registry;
}

}  // namespace tranche
