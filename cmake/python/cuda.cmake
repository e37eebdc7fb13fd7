# What crispvl-cuda says of itself, for python/crispvl/variants.py; and where its libraries are: in
# the wheels of NVIDIA that it depends on.
find_package(CUDAToolkit REQUIRED)
math(EXPR cuda_version "${CUDAToolkit_VERSION_MAJOR} * 1000 + ${CUDAToolkit_VERSION_MINOR} * 10")
set(cpu_features)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(JOIN crispvl_avx2 "\", \"" cpu_features)
    set(cpu_features "\"${cpu_features}\"")
endif()
file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/build.json"
    CONTENT "{\"cuda\": ${cuda_version}, \"cpu_features\": [${cpu_features}]}\n")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/build.json" DESTINATION crispvl_cuda)
if(CUDAToolkit_VERSION_MAJOR LESS 13)
    set(cuda_folders "$ORIGIN/../nvidia/cublas/lib;$ORIGIN/../nvidia/cuda_runtime/lib")
else()
    set(cuda_folders "$ORIGIN/../nvidia/cu${CUDAToolkit_VERSION_MAJOR}/lib")
endif()
set_target_properties(_core PROPERTIES INSTALL_RPATH "${cuda_folders}")
