/* usbfs in user space, for LD_PRELOAD: the real libusb above, a simulated device below.
 *
 * This library takes over open, access, ioctl and close of the nodes /dev/bus/usb/BBB/DDD, which
 * need not exist; everything else passes. Each leads to a unix socket, SOCKETS/BBB/DDD, on which
 * the simulated device speaks the URB stream of USB/IP.
 *
 * libusb waits with poll or epoll on the node's descriptor, which must therefore behave as usbfs':
 *   writable (POLLOUT)             an URB can be reaped
 *   POLLHUP and POLLERR            the device is gone
 * So the descriptor is one end of a socket pair. Full, it is not writable; drained, it is; with
 * its other end closed while bytes are unread, it has POLLHUP and POLLERR.
 *
 * Files beside the socket, by which programs and the simulated device see each other:
 *   DDD.claim<I>   locked (flock) by the program that has claimed interface I
 *   DDD.driver     exists while a kernel driver has the device; holds the driver's name
 *
 * Each open node has one thread, which reads the stream. */
#include "shim.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))
#define SOCKETS "/sys/turnike/usb"
enum { DESCRIPTORS_MAX = 65536 };

int (*real_open)(const char *, int, ...);
int (*real_close)(int);
static int (*real_access)(const char *, int);
static int (*real_ioctl)(int, unsigned long, ...);
static struct node *nodes[DESCRIPTORS_MAX];

/* Not in a constructor: those of other libraries (libselinux) call these functions before it. */
static void find_real(void) {
    if (real_ioctl) return;
    real_open = dlsym(RTLD_NEXT, "open");
    real_close = dlsym(RTLD_NEXT, "close");
    real_access = dlsym(RTLD_NEXT, "access");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
}

static struct node *node_of(int fd) {
    return fd >= 0 && fd < DESCRIPTORS_MAX ? nodes[fd] : NULL;
}

/* Put the path of the socket of a node into `socket_path`; return whether `path` is a node. */
static int is_node(const char *path, char *socket_path) {
    unsigned bus, device;
    char rest;
    if (!path || sscanf(path, "/dev/bus/usb/%3u/%3u%c", &bus, &device, &rest) != 2) return 0;
    snprintf(socket_path, PATH_BYTES, SOCKETS "/%03u/%03u", bus, device);
    return 1;
}

static int open_node(const char *socket_path) {
    struct node *node = node_open(socket_path);
    if (!node) return -1;
    if (node->fd >= DESCRIPTORS_MAX) {
        int fd = node->fd;
        node_close(node);
        real_close(fd);
        return fail(EMFILE);
    }
    nodes[node->fd] = node;
    return node->fd;
}

EXPORTED int open(const char *path, int flags, ...) {
    find_real();
    char socket_path[PATH_BYTES];
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return is_node(path, socket_path) ? open_node(socket_path) : real_open(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return open(path, flags | O_LARGEFILE, mode);
}

/* What open becomes in a program that was compiled with _FORTIFY_SOURCE, as Debian's libusb is. */
EXPORTED int __open_2(const char *path, int flags) { return open(path, flags); }
EXPORTED int __open64_2(const char *path, int flags) { return open64(path, flags); }

EXPORTED int access(const char *path, int mode) {
    find_real();
    char socket_path[PATH_BYTES];
    return real_access(is_node(path, socket_path) ? socket_path : path, mode);
}

EXPORTED int close(int fd) {
    find_real();
    struct node *node = node_of(fd);
    if (!node) return real_close(fd);
    /* Its thread ends before its number is free: the kernel gives that to the next open at once. */
    nodes[fd] = NULL;
    node_close(node);
    return real_close(fd);
}

static int node_ioctl(struct node *node, unsigned long code, void *argument) {
    switch (code) {
    case USBDEVFS_GET_CAPABILITIES:
        *(uint32_t *)argument = USBDEVFS_CAP_ZERO_PACKET | USBDEVFS_CAP_NO_PACKET_SIZE_LIM |
                                USBDEVFS_CAP_REAP_AFTER_DISCONNECT;
        return 0;
    case USBDEVFS_SUBMITURB: return submit(node, argument);
    case USBDEVFS_DISCARDURB: return discard(node, argument);
    case USBDEVFS_REAPURB: return reap(node, argument, 1);
    case USBDEVFS_REAPURBNDELAY: return reap(node, argument, 0);
    case USBDEVFS_CLAIMINTERFACE: return claim(node, *(unsigned *)argument);
    case USBDEVFS_RELEASEINTERFACE: return release(node, *(unsigned *)argument);
    case USBDEVFS_DISCONNECT_CLAIM: return disconnect_and_claim(node, argument);
    case USBDEVFS_IOCTL: return driver_request(node, argument);
    case USBDEVFS_GETDRIVER: {
        struct usbdevfs_getdriver *about = argument;
        return driver(node, about->driver, sizeof about->driver) ? fail(ENODATA) : 0;
    }
    case USBDEVFS_SETCONFIGURATION: return request(node, 0x00, 9, *(unsigned *)argument, 0);
    case USBDEVFS_SETINTERFACE: {
        struct usbdevfs_setinterface *about = argument;
        return request(node, 0x01, 11, about->altsetting, about->interface);
    }
    case USBDEVFS_CLEAR_HALT: return request(node, 0x02, 1, 0, *(unsigned *)argument);
    case USBDEVFS_RESET: return request(node, 0x23, 3, 4, 0); /* as vhci-hcd: a port's reset */
    default: return fail(ENOTTY);
    }
}

EXPORTED int ioctl(int fd, unsigned long code, ...) {
    find_real();
    va_list rest;
    va_start(rest, code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct node *node = node_of(fd);
    return node ? node_ioctl(node, code, argument) : real_ioctl(fd, code, argument);
}
