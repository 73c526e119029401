// The report's style sheet: light and dark, screen and paper.
#pragma once

#include <string_view>

namespace tranche::html {

extern const std::string_view kStyle;

}  // namespace tranche::html
