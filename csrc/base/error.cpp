#include "runtime/error.h"

#include "text/utf8.h"

namespace crispvl {

Error::Error(ErrorKind kind, const std::string& message)
    : std::runtime_error(repair_utf8(message)), kind_(kind) {}

}  // namespace crispvl
