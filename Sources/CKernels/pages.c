#define _GNU_SOURCE
#include "pages.h"

#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

int kernels_move_pages(void *from, size_t byte_count, void *to) {
  // By the C library's function, which communication libraries watch in order to forget what they know of the pages.
  // The old addresses must stay ours: another thread could be given them before the pages come back.
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
  return mremap(from, byte_count, byte_count, flags, to) == MAP_FAILED ? -1 : 0;
}
