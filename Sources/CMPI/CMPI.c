#include "CMPI.h"

#include <mpi.h>
#include <string.h>
#include <unistd.h>

static MPI_Comm comm(cmpi_communicator communicator) { return (MPI_Comm)communicator; }

int cmpi_start(void) {
  int provided;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  return MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);  // inherited by all derived communicators
}

int cmpi_finish(void) { return MPI_Finalize(); }

void cmpi_abort(int status) { MPI_Abort(MPI_COMM_WORLD, status); }

void cmpi_error_text(int code, char *text, int capacity) {
  char whole[MPI_MAX_ERROR_STRING] = "unknown error";
  int length;
  MPI_Error_string(code, whole, &length);
  strncpy(text, whole, (size_t)capacity - 1);
  text[capacity - 1] = 0;
}

void cmpi_library_version(char *text, int capacity) {
  char whole[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length;
  MPI_Get_library_version(whole, &length);
  strncpy(text, whole, (size_t)capacity - 1);
  text[capacity - 1] = 0;
}

int cmpi_processor_name(char *text, int capacity) {
  char whole[MPI_MAX_PROCESSOR_NAME] = "";
  int length;
  int code = MPI_Get_processor_name(whole, &length);
  strncpy(text, whole, (size_t)capacity - 1);
  text[capacity - 1] = 0;
  return code;
}

int cmpi_online_core_count(void) { return (int)sysconf(_SC_NPROCESSORS_ONLN); }

cmpi_communicator cmpi_world(void) { return (cmpi_communicator)MPI_COMM_WORLD; }

int cmpi_rank(cmpi_communicator communicator, int *rank) { return MPI_Comm_rank(comm(communicator), rank); }

int cmpi_size(cmpi_communicator communicator, int *size) { return MPI_Comm_size(comm(communicator), size); }

int cmpi_duplicate(cmpi_communicator communicator, cmpi_communicator *result) {
  MPI_Comm made = MPI_COMM_NULL;
  int code = MPI_Comm_dup(comm(communicator), &made);
  *result = (cmpi_communicator)made;
  return code;
}

int cmpi_split(cmpi_communicator communicator, int color, int key, cmpi_communicator *result) {
  MPI_Comm made = MPI_COMM_NULL;
  int code = MPI_Comm_split(comm(communicator), color < 0 ? MPI_UNDEFINED : color, key, &made);
  *result = (cmpi_communicator)made;
  return code;
}

int cmpi_split_by_node(cmpi_communicator communicator, int key, cmpi_communicator *result) {
  MPI_Comm made = MPI_COMM_NULL;
  int code = MPI_Comm_split_type(comm(communicator), MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &made);
  *result = (cmpi_communicator)made;
  return code;
}

int cmpi_free(cmpi_communicator communicator) {
  MPI_Comm freed = comm(communicator);
  return freed == MPI_COMM_NULL ? MPI_SUCCESS : MPI_Comm_free(&freed);
}

int cmpi_is_null(cmpi_communicator communicator) { return comm(communicator) == MPI_COMM_NULL; }

int cmpi_barrier(cmpi_communicator communicator) { return MPI_Barrier(comm(communicator)); }

int cmpi_broadcast(cmpi_communicator communicator, void *bytes, int count, int root) {
  return MPI_Bcast(bytes, count, MPI_BYTE, root, comm(communicator));
}

int cmpi_all_gather(cmpi_communicator communicator, const void *bytes, int count, void *all) {
  return MPI_Allgather(bytes, count, MPI_BYTE, all, count, MPI_BYTE, comm(communicator));
}

int cmpi_all_gather_ranges(
  cmpi_communicator communicator, const void *bytes, void *all, const int *counts, const int *offsets) {
  int rank;
  int code = MPI_Comm_rank(comm(communicator), &rank);
  if (code != MPI_SUCCESS) return code;
  return MPI_Allgatherv(
    bytes ? bytes : MPI_IN_PLACE, counts[rank], MPI_BYTE, all, counts, offsets, MPI_BYTE, comm(communicator));
}

int cmpi_all_to_all(
  cmpi_communicator communicator, const void *sent, const int *sent_counts, const int *sent_offsets, void *received,
  const int *received_counts, const int *received_offsets) {
  return MPI_Alltoallv(
    sent, sent_counts, sent_offsets, MPI_BYTE, received, received_counts, received_offsets, MPI_BYTE,
    comm(communicator));
}

int cmpi_all_reduce_sum(cmpi_communicator communicator, float *values, int count) {
  return MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_FLOAT, MPI_SUM, comm(communicator));
}

int cmpi_window_allocate(cmpi_communicator communicator, int64_t byte_count, void **base, cmpi_window *window) {
  MPI_Win made = MPI_WIN_NULL;
  int rank;
  int code = MPI_Comm_rank(comm(communicator), &rank);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Win_allocate_shared(
    rank == 0 ? (MPI_Aint)byte_count : 0, 1, MPI_INFO_NULL, comm(communicator), base, &made);
  if (code != MPI_SUCCESS) return code;
  MPI_Win_set_errhandler(made, MPI_ERRORS_RETURN);
  MPI_Aint size;
  int unit;
  code = MPI_Win_shared_query(made, 0, &size, &unit, base);
  if (code == MPI_SUCCESS) code = MPI_Win_lock_all(MPI_MODE_NOCHECK, made);
  *window = (cmpi_window)made;
  return code;
}

int cmpi_window_free(cmpi_window window) {
  MPI_Win freed = (MPI_Win)window;
  int code = MPI_Win_unlock_all(freed);
  return code == MPI_SUCCESS ? MPI_Win_free(&freed) : code;
}
