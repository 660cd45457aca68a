#define _GNU_SOURCE
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "CMPI.h"

// One per rank, CMPI_SIGNAL_STRIDE apart so that no two share a cache line (or the pair that is fetched together).
struct signal {
  _Atomic uint32_t arrivals;
  _Atomic uint32_t sleepers;
};

_Static_assert(sizeof(struct signal) <= CMPI_SIGNAL_STRIDE, "a signal must fit its stride");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "signals between processes need lock-free atomics");

static struct signal *signal_of(void *signals, int rank) {
  return (struct signal *)((char *)signals + (size_t)rank * CMPI_SIGNAL_STRIDE);
}

static void pause_core(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void cmpi_signal_arrive(void *signals, int rank) {
  struct signal *own = signal_of(signals, rank);
  // Sequentially consistent, as is the pair in cmpi_signal_wait: either this sees the sleeper or the sleeper this.
  atomic_fetch_add(&own->arrivals, 1);
  if (atomic_load(&own->sleepers)) {
    syscall(SYS_futex, &own->arrivals, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
  }
}

void cmpi_signal_wait(void *signals, int rank, uint32_t arrivals, int spin_count) {
  struct signal *awaited = signal_of(signals, rank);
  for (int spin = 0; spin < spin_count; spin++) {
    // The difference is signed, so the count may wrap around.
    if ((int32_t)(atomic_load_explicit(&awaited->arrivals, memory_order_acquire) - arrivals) >= 0) return;
    pause_core();
  }
  atomic_fetch_add(&awaited->sleepers, 1);
  for (;;) {
    uint32_t seen = atomic_load(&awaited->arrivals);
    if ((int32_t)(seen - arrivals) >= 0) break;
    const struct timespec limit = {.tv_sec = 1};
    syscall(SYS_futex, &awaited->arrivals, FUTEX_WAIT, seen, &limit, NULL, 0);
  }
  atomic_fetch_sub(&awaited->sleepers, 1);
}
