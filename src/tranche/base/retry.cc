#include "tranche/base/retry.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace tranche {

Duration RetryPolicy::Pause(int attempt, uint64_t seed) const {
  std::minstd_rand random(static_cast<uint32_t>(seed + static_cast<uint64_t>(attempt)));
  const double longest = std::min<double>(static_cast<double>(most.count()),
                                          static_cast<double>(least.count()) * std::pow(2.0, attempt - 1));
  return Duration(static_cast<int64_t>(std::uniform_real_distribution(0.0, longest)(random)));
}

}  // namespace tranche
