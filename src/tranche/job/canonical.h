// The job as JSON: what decides the rows, and what may change between a crash and the resume.
#pragma once

#include <map>
#include <string>

#include "tranche/job/job.h"

namespace tranche {

// `shown`: the values of $p1, $p2 … with secrets as keyed hashes.
std::string CanonicalJob(const Job& job, const std::map<std::string, std::string>& shown);
std::string JobTuning(const Job& job);

}  // namespace tranche
