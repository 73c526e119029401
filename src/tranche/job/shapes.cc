#include "tranche/job/shapes.h"

namespace tranche {

const Shape& ParameterShape() {
  static const Shape kShape = Shape::Object({
      {"type", Shape::Text(), "text, date, timestamp, integer, number, boolean, or an SQL type.",
       Field::kRequired},
      {"default", Shape::Text(),
       "The value where `--set` gives none; dates also take `today` and `yesterday` (UTC)."},
      {"in", Shape::List(Shape::Text()), "The values that are allowed."},
  });
  return kShape;
}

const Shape& GroupShape() {
  static const Shape kShape = Shape::Object({
      {"by", Shape::ListOrOne(Shape::Column()), "Columns: a group for each of their values."},
      {"window",
       Shape::Object({
           {"time", Shape::Column(), "The column with the time.", Field::kRequired},
           {"every", Shape::Text(),
            "How long a window is: `15m`, `1h`; `1d` and `1w` are calendar days and weeks.",
            Field::kRequired},
           {"as", Shape::Column(), "The name of the column with the window's start.", "window_start"},
           {"zone", Shape::Text(), "The time zone in which days begin.", "UTC"},
       }),
       "A group for each span of time."},
      {"rows", Shape::Integer(1), "A group for each so many rows, in the order of the input. Stands alone."},
  });
  return kShape;
}

const Shape& BatchShape() {
  static const Shape kShape = Shape::Object({
      {"rows", Shape::Integer(1), "Most rows of a batch."},
      {"bytes", Shape::Size(), "Most bytes of a batch."},
      {"linger", Shape::Duration(), "How long rows wait for a batch to fill."},
      {"parallel", Shape::Integer(1), "How many batches are stored at a time."},
  });
  return kShape;
}

const Shape& RetryShape() {
  static const Shape kShape = Shape::Object({
      {"attempts", Shape::Integer(1), "How often a batch is tried.", "6"},
      {"backoff", Shape::Text(), "The shortest and the longest pause between two tries.", "200ms..30s"},
      {"timeout", Shape::Duration(), "How long one try may take."},
  });
  return kShape;
}

const Shape& IncrementShape() {
  static const Shape kShape = Shape::Object({
      {"column", Shape::Column(), "A column that grows: only rows beyond its last value are read.",
       Field::kRequired},
      {"start", Shape::Text(), "The value with which the first run begins."},
      {"overlap", Shape::Duration(), "How far each run goes back, for rows that were written late."},
  });
  return kShape;
}

const Shape& RunShape() {
  static const Shape kShape = Shape::Object({
      {"memory", Shape::Size(), "Most memory for the engine."},
      {"threads", Shape::Integer(1), "Most threads of the engine."},
      {"engine", Shape::Choice({"duckdb"}), "What runs the queries.", "duckdb"},
      {"timeout", Shape::Duration(), "How long a run may take."},
  });
  return kShape;
}

const Shape& FromShape() {
  static const Shape kShape = Shape::ListOrOne(Shape::Name());
  return kShape;
}

}  // namespace tranche
