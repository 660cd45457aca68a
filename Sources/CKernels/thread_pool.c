// Fork and join in about a microsecond: workers spin briefly on a generation counter, then sleep on a futex.
#define _GNU_SOURCE
#include "thread_pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define RELAX() __builtin_ia32_pause()
#else
#define RELAX() ((void)0)
#endif

enum { maximum_threads = 256, spin_limit = 20000, patience = 4000 };

static struct {
  pthread_mutex_t in_use;
  int thread_count;     // configured, the caller included
  int started_workers;  // threads that exist; those with an index ≥ thread_count stay idle
  kernels_pool_body body;
  void *context;
  int64_t count;
  int participants;
  unsigned first_generation[maximum_threads];
  _Alignas(64) atomic_uint generation;
  atomic_int sleepers;
  _Alignas(64) atomic_llong next;
  _Alignas(64) atomic_int unfinished;
} pool = {.in_use = PTHREAD_MUTEX_INITIALIZER, .thread_count = 0};

int kernels_affinity_cpus(int *cpus, int capacity) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;
  int count = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET(cpu, &mask)) {
      if (count < capacity) cpus[count] = cpu;
      count++;
    }
  return count;
}

int kernels_affinity_count(void) {
  int count = kernels_affinity_cpus(NULL, 0);
  return count > 0 ? count : 1;
}

static void claim_indices(void) {
  for (;;) {
    int64_t index = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
    if (index >= pool.count) return;
    pool.body(pool.context, index);
  }
}

static void *worker(void *argument) {
  int index = (int)(intptr_t)argument;
  unsigned seen = pool.first_generation[index];
  for (;;) {
    unsigned generation;
    int spins = 0;
    while ((generation = atomic_load_explicit(&pool.generation, memory_order_acquire)) == seen) {
      if (spins < spin_limit) {
        spins++;
        RELAX();
      } else {
        atomic_fetch_add(&pool.sleepers, 1);
        if (atomic_load(&pool.generation) == seen)
          syscall(SYS_futex, &pool.generation, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
        atomic_fetch_sub(&pool.sleepers, 1);
      }
    }
    seen = generation;
    // Every started worker answers each generation, so that none can be late for a job's fields.
    if (index < pool.participants) claim_indices();
    atomic_fetch_sub_explicit(&pool.unfinished, 1, memory_order_release);
  }
  return NULL;
}

static void start_missing_workers(void) {
  while (pool.started_workers < pool.thread_count - 1) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int index = pool.started_workers + 1;
    pool.first_generation[index] = atomic_load(&pool.generation);  // earlier jobs are not this worker's
    int failed = pthread_create(&thread, &attributes, worker, (void *)(intptr_t)index);
    pthread_attr_destroy(&attributes);
    if (failed) {
      pool.thread_count = pool.started_workers + 1;
      return;
    }
    pool.started_workers++;
  }
}

void kernels_pool_configure(int thread_count) {
  pthread_mutex_lock(&pool.in_use);
  pool.thread_count = thread_count < 1 ? 1 : thread_count > maximum_threads ? maximum_threads : thread_count;
  pthread_mutex_unlock(&pool.in_use);
}

int kernels_pool_thread_count(void) {
  if (pool.thread_count == 0) kernels_pool_configure(kernels_affinity_count());
  return pool.thread_count;
}

void kernels_pool_run(int64_t count, kernels_pool_body body, void *context) {
  if (count > 1 && kernels_pool_thread_count() > 1 && pthread_mutex_trylock(&pool.in_use) == 0) {
    start_missing_workers();
    pool.body = body;
    pool.context = context;
    pool.count = count;
    pool.participants = pool.thread_count;
    atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.unfinished, pool.started_workers, memory_order_relaxed);
    atomic_fetch_add(&pool.generation, 1);
    if (atomic_load(&pool.sleepers) > 0)
      syscall(SYS_futex, &pool.generation, FUTEX_WAKE_PRIVATE, maximum_threads, NULL, NULL, 0);
    claim_indices();
    // On a busy machine the awaited thread may be waiting for this very core.
    for (int spins = 0; atomic_load_explicit(&pool.unfinished, memory_order_acquire) > 0; spins++)
      if (spins < patience)
        RELAX();
      else
        sched_yield();
    pthread_mutex_unlock(&pool.in_use);
    return;
  }
  for (int64_t index = 0; index < count; index++) body(context, index);
}
