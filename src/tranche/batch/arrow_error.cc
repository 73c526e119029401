#include "tranche/batch/arrow_error.h"

#include <arrow/status.h>
#include <arrow/util/io_util.h>

namespace tranche {

Error ArrowError(std::string_view action, std::string_view subject, const arrow::Status& status) {
  if (int error_number = arrow::internal::ErrnoFromStatus(status); error_number != 0) {
    return FailErrno(action, subject, error_number);
  }
  return Fail(Code::kOutside, "cannot {} {}: {}", action, subject, status.message());
}

}  // namespace tranche
