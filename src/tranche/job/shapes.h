// Shapes of the parts of a job file that belong to no component: checked, documented and put into the JSON
// Schema by the same code as the components' own.
#pragma once

#include "tranche/connector/shape.h"

namespace tranche {

const Shape& ParameterShape();  // the long form
const Shape& GroupShape();
const Shape& BatchShape();
const Shape& RetryShape();
const Shape& IncrementShape();
const Shape& RunShape();
const Shape& FromShape();

}  // namespace tranche
