#pragma once
#include <stdint.h>

/// The number of CPUs in this process's affinity mask (what mpirun or taskset left it), at least 1.
int kernels_affinity_count(void);

/// Writes the CPUs of the affinity mask in ascending order into `cpus`; returns how many there are.
int kernels_affinity_cpus(int *cpus, int capacity);

/// Sets how many threads the pool uses, the caller included; threads are started on the first use.
/// May be called again while no parallel loop is running.
void kernels_pool_configure(int thread_count);

/// Threads that a parallel loop uses, the caller included.
int kernels_pool_thread_count(void);

typedef void (*kernels_pool_body)(void *context, int64_t index);

/// Calls `body(context, i)` for every i in 0..<count, on the pool's threads and the caller's, and returns when all
/// are done. Indices are claimed in ascending order by whichever thread is free. Runs them on the caller's
/// thread alone when the pool is busy (a nested or a concurrent call) or has one thread.
void kernels_pool_run(int64_t count, kernels_pool_body body, void *context);
