// Open MPI for Swift. `mpi.h` does not import well (its constants are macros), so it stays behind these functions.
// Each returns MPI's error code, 0 on success. Handles are MPI's own, cast to an integer. Counts are bytes.
#pragma once
#include <stdint.h>

typedef intptr_t cmpi_communicator;
typedef intptr_t cmpi_window;

// Process.
int cmpi_start(void);   // MPI_THREAD_MULTIPLE; errors are returned from now on, instead of ending the process.
int cmpi_finish(void);
void cmpi_abort(int status);
void cmpi_error_text(int code, char *text, int capacity);
void cmpi_library_version(char *text, int capacity);
int cmpi_processor_name(char *text, int capacity);
int cmpi_online_core_count(void);

// Communicators.
cmpi_communicator cmpi_world(void);
int cmpi_rank(cmpi_communicator communicator, int *rank);
int cmpi_size(cmpi_communicator communicator, int *size);
int cmpi_duplicate(cmpi_communicator communicator, cmpi_communicator *result);
// A negative colour takes no part and receives a null communicator.
int cmpi_split(cmpi_communicator communicator, int color, int key, cmpi_communicator *result);
int cmpi_split_by_node(cmpi_communicator communicator, int key, cmpi_communicator *result);
int cmpi_free(cmpi_communicator communicator);
int cmpi_is_null(cmpi_communicator communicator);

// Collective operations.
int cmpi_barrier(cmpi_communicator communicator);
int cmpi_broadcast(cmpi_communicator communicator, void *bytes, int count, int root);
int cmpi_all_gather(cmpi_communicator communicator, const void *bytes, int count, void *all);
// Every rank's `counts[rank]` bytes lie at `offsets[rank]` of `all`; with `bytes` null, in place.
int cmpi_all_gather_ranges(
  cmpi_communicator communicator, const void *bytes, void *all, const int *counts, const int *offsets);
int cmpi_all_to_all(
  cmpi_communicator communicator, const void *sent, const int *sent_counts, const int *sent_offsets, void *received,
  const int *received_counts, const int *received_offsets);
int cmpi_all_reduce_sum(cmpi_communicator communicator, float *values, int count);  // count of floats

// Memory shared by the ranks of a node. Rank 0 of the communicator provides it; all receive its address.
int cmpi_window_allocate(cmpi_communicator communicator, int64_t byte_count, void **base, cmpi_window *window);
int cmpi_window_free(cmpi_window window);

// Signals in shared memory: each rank counts its arrivals on a cache line of its own, the others wait for the count.
// Unlike MPI_Barrier, a waiting rank leaves its core to others after a short spin.
#define CMPI_SIGNAL_STRIDE 128
void cmpi_signal_arrive(void *signals, int rank);
void cmpi_signal_wait(void *signals, int rank, uint32_t arrivals, int spin_count);
