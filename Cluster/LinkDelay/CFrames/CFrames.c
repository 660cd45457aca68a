#define _GNU_SOURCE
#include "CFrames.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int failed(int file) {
  int error = errno;
  close(file);
  errno = error;
  return -1;
}

int frames_make_tap(const char *name) {
  int file = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) return -1;
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (ioctl(file, TUNSETIFF, &request) < 0) return failed(file);
  if (ioctl(file, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) < 0) return failed(file);
  return file;
}

int frames_open_cable(const char *name) {
  int file = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (file < 0) return -1;
  int on = 1;
  // Frames wait here for the program, at most so many bytes; a burst at 10 Gb/s for 25 ms.
  int room = 32 << 20;
  struct sockaddr_ll address = {
    .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  if (address.sll_ifindex == 0 || setsockopt(file, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) < 0 ||
      setsockopt(file, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
      setsockopt(file, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
      setsockopt(file, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0 ||
      bind(file, (struct sockaddr *)&address, sizeof address) < 0)
    return failed(file);
  return file;
}

int frames_wait(int tap, int cable, int64_t nanoseconds) {
  struct pollfd files[2] = {{.fd = tap, .events = POLLIN}, {.fd = cable, .events = POLLIN}};
  struct timespec time = {nanoseconds / 1000000000, nanoseconds % 1000000000};
  int count = ppoll(files, 2, nanoseconds < 0 ? NULL : &time, NULL);
  if (count < 0) return errno == EINTR ? 0 : -1;
  return (files[0].revents & POLLIN ? 1 : 0) | (files[1].revents & (POLLIN | POLLERR) ? 2 : 0) |
    (files[0].revents & (POLLERR | POLLHUP | POLLNVAL) ? 4 : 0);
}

int frames_is_passing(int error) {
  // A cable that was pulled (ENETDOWN) may be plugged in again.
  return error == EAGAIN || error == EINTR || error == ENETDOWN;
}

int frames_serve(void) {
  // `daemon` closes it.
  int output = dup(STDERR_FILENO);
  if (output < 0 || daemon(0, 0) < 0 || dup2(output, STDERR_FILENO) < 0) return -1;
  close(output);
  prctl(PR_SET_TIMERSLACK, 1);
  struct sched_param parameters = {.sched_priority = 1};
  if (sched_setscheduler(0, SCHED_FIFO, &parameters) < 0) setpriority(PRIO_PROCESS, 0, -20);
  return 0;
}
