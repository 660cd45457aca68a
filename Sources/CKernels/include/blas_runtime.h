#pragma once

/// The vector level that the CPU offers, as the loops in this target are dispatched: "x86-64-v4" (AVX-512),
/// "x86-64-v3" (AVX2 + FMA) or "baseline".
const char *kernels_vector_level(void);

/// The OpenBLAS core type that suits this CPU, or NULL where nothing better than its own choice is known.
const char *kernels_blas_suitable_core(void);

/// The core type whose kernels OpenBLAS uses at the moment, or "unknown".
const char *kernels_blas_current_core(void);

/// Makes OpenBLAS choose its kernels anew when it fell back to a core type worse than the CPU (versions older
/// than the CPU do, and are then five times slower). Call it before any other thread uses BLAS.
/// Does nothing where OPENBLAS_CORETYPE is set by the user. Returns 1 if the kernels were exchanged.
int kernels_blas_repair_core(void);

/// OpenBLAS runs single-threaded inside our own threads.
void kernels_blas_use_one_thread(void);
