// The two ends of a cable through a program, for Swift, which imports neither `ioctl` nor the macros of these headers.
//
// A read gives one frame, a write takes one, each with a `struct virtio_net_hdr` in front. It carries what the network
// stack has put off: the cutting of large frames into small ones, and checksums. So both pass through undone.
// Functions return -1 on failure, with the cause in `errno`.
#pragma once
#include <stdint.h>

// Makes a network device whose cable ends in this program: the device is gone when its file is closed.
int frames_make_tap(const char *name);
// Opens the end of a cable at an existing device: frames that come out of the cable are read, frames written go in.
int frames_open_cable(const char *name);

// Waits until a file can be read, or for that long (negative: without end). Returns the sum of 1 if the first can, 2 if
// the second can, and 4 if the device of the first is gone.
int frames_wait(int tap, int cable, int64_t nanoseconds);

// Whether a failed call is to be tried again later rather than reported, by `errno`.
int frames_is_passing(int error);

// Goes to the background, with nothing but the standard error output left of the terminal, and asks to run as soon as
// there is something to do, before programs that only compute. Where that is not allowed, it goes on without.
int frames_serve(void);
