// The balance as a picture: where the rows came from, what became of them, and where they went.
#pragma once

#include <cstdint>
#include <string>

#include "tranche/report/report.h"

namespace tranche::html {

// Inputs, stages and stores from left to right; bands between them grow with their rows, though not in
// proportion.
std::string DrawFlow(const ReportData& data);

int64_t RowsInto(const ReportData::Stage& stage);  // joined inputs not counted
bool Holds(const ReportData::Stage& stage);        // its equation, where there is one
bool Holds(const ReportData& data,
           const ReportData::Store& store);  // every row of its stage is accounted for
int64_t RowsFor(const ReportData& data, const ReportData::Store& store);  // rows of its stage

}  // namespace tranche::html
