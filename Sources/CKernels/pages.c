#define _GNU_SOURCE
#include "pages.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

int kernels_move_pages(void *from, size_t byte_count, void *to) {
  // The old addresses must stay ours: another thread could be given them before the pages come back.
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
  // Not by the C library's mremap: communication libraries replace it, and UCX before 1.15 (its issue 8820) loses `to`.
  if (syscall(SYS_mremap, from, byte_count, byte_count, (long)flags, to) == -1) return -1;
  // Drops nothing, as the pages are gone; but those libraries watch this one too, and forget what they knew of the pages.
  madvise(from, byte_count, MADV_DONTNEED);
  return 0;
}
