// The job as JSON: what decides the rows, and what may change between a crash and the resume.
#pragma once

#include <map>
#include <string>

#include "tranche/job/job.h"

namespace tranche {

// `shown`: the values of $p1, $p2 … with secrets as keyed hashes.
std::string CanonicalJob(const Job& job, const std::map<std::string, std::string>& shown);
// Whether a run that began with one may go on with the other. A server may have got another name or password
// meanwhile: that it is the same one, the ledger on it says.
bool IsSameJob(const std::string& canonical, const std::string& other);
std::string JobTuning(const Job& job);

}  // namespace tranche
