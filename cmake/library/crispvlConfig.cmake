# Targets: crispvl::crispvl (shared) and, where it was built, crispvl::static (needs CXX enabled).
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/crispvlTargets.cmake")
