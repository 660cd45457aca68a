#define _GNU_SOURCE
#include "blas_runtime.h"

#include <cblas.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int cpu_is_skylake_x(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512cd");
#else
  return 0;
#endif
}

static int cpu_is_haswell(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 0;
#endif
}

const char *kernels_vector_level(void) {
  return cpu_is_skylake_x() ? "x86-64-v4" : cpu_is_haswell() ? "x86-64-v3" : "baseline";
}

const char *kernels_blas_suitable_core(void) {
  return cpu_is_skylake_x() ? "SkylakeX" : cpu_is_haswell() ? "Haswell" : NULL;
}

const char *kernels_blas_current_core(void) {
  // Looked up by name: builds of OpenBLAS without dynamic kernels lack it, and other BLAS libraries too.
  const char *(*name)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "openblas_get_corename");
  return name ? name() : "unknown";
}

/// Core types that OpenBLAS falls back to on CPUs newer than itself.
static int is_fallback(const char *core) {
  static const char *const slow[] = {"Prescott",  "Core2",   "Penryn",       "Dunnington", "Nehalem",
                                     "Sandybridge", "Opteron", "Opteron_SSE3", "Barcelona",  "unknown"};
  for (unsigned i = 0; i < sizeof slow / sizeof *slow; i++)
    if (strcasecmp(core, slow[i]) == 0) return 1;
  return 0;
}

int kernels_blas_repair_core(void) {
  const char *suitable = kernels_blas_suitable_core();
  if (!suitable || getenv("OPENBLAS_CORETYPE")) return 0;
  void (*quit)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "gotoblas_dynamic_quit");
  void (*init)(void) = (void (*)(void))dlsym(RTLD_DEFAULT, "gotoblas_dynamic_init");
  const char *current = kernels_blas_current_core();
  int poorer = is_fallback(current) ||
               (strcmp(suitable, "SkylakeX") == 0 && strcasecmp(current, "Haswell") == 0);
  if (!quit || !init || !poorer) return 0;
  quit();
  setenv("OPENBLAS_CORETYPE", suitable, 1);
  init();
  // Left in place it would look like the user's own choice to child processes and to a second call.
  unsetenv("OPENBLAS_CORETYPE");
  return 1;
}

void kernels_blas_use_one_thread(void) { openblas_set_num_threads(1); }
