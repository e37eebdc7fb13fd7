#include "base/error.h"

#include "base/utf8.h"

namespace crispvl {

Error::Error(ErrorKind kind, const std::string& message)
    : std::runtime_error(repair_utf8(message)), kind_(kind) {}

}  // namespace crispvl
