// Which chart says most about the rows of a store: a guess from the types, names and values of a sample.
#pragma once

#include <string>
#include <vector>

#include "tranche/report/report.h"

namespace tranche::html {

struct Picture {
  std::string caption;  // "delay by hour, one line an origin"; not escaped
  std::string svg;
};

// At most two; none where a table says it best.
std::vector<Picture> DrawSample(const ReportData::Sample& sample);

// Seconds since 1970 of "2026-11-20", "2026-11-20 14:03:07.5" or with "+02" behind; NaN if it is none of
// these.
double ParseMoment(std::string_view text);

}  // namespace tranche::html
