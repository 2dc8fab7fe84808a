/* usbfs in user space, for LD_PRELOAD: the real libusb above, a simulated device below.
 *
 * /dev/bus/usb/BBB/DDD is a unix socket there, on which the simulated device speaks the URB stream
 * of USB/IP. This library takes over open, ioctl and close of such nodes. Everything else passes.
 *
 * libusb waits with poll or epoll on the node's descriptor, which must therefore behave as usbfs':
 *   writable (POLLOUT)             an URB can be reaped
 *   POLLHUP and POLLERR            the device is gone
 * So the descriptor is one end of a socket pair. Full, it is not writable; drained, it is; with
 * its other end closed while bytes are unread, it has POLLHUP and POLLERR.
 *
 * Beside a node NODE there are files by which programs and the simulated device see each other:
 *   NODE.claim<I>   locked (flock) by the program that has claimed interface I
 *   NODE.driver     exists while a kernel driver has the device; holds the driver's name
 *
 * Each open node has one thread, which reads the stream. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
enum { DESCRIPTORS_MAX = 65536, INTERFACES_MAX = 8, PATH_BYTES = 64, HEAD_WORDS = 12 };
enum { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };
#define UNLINK_BIT 0x80000000u /* an unlink's number is the transfer's with this bit */

/* One transfer. `owner` is the program's URB; NULL for a request of this library's own. */
struct urb {
    struct urb *next;
    struct usbdevfs_urb *owner;
    uint32_t number;
    int is_in, ended, status;
};

struct node {
    int fd, peer, stream;          /* the program's end, ours, and the simulated device */
    int claims[INTERFACES_MAX];    /* descriptors of locked files, or -1 */
    int gone, full;
    uint32_t last_number;
    struct urb *flying, *ended, **ended_tail;
    pthread_t reader;
    pthread_mutex_t state;         /* guards all of the above */
    pthread_mutex_t sending;       /* keeps messages on the stream whole */
    pthread_cond_t changed;
    char path[PATH_BYTES];
};

static struct node *nodes[DESCRIPTORS_MAX];
static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static int (*real_close)(int);

__attribute__((constructor)) static void find_real(void) {
    real_open = dlsym(RTLD_NEXT, "open");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_close = dlsym(RTLD_NEXT, "close");
}

static int fail(int error) {
    errno = error;
    return -1;
}

static struct node *node_of(int fd) {
    return fd >= 0 && fd < DESCRIPTORS_MAX ? nodes[fd] : NULL;
}

/* The stream */

static int send_all(int socket, const void *data, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t sent = send(socket, (const char *)data + at, count - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        at += sent;
    }
    return 0;
}

static int receive_all(int socket, void *data, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t got = recv(socket, (char *)data + at, count - at, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        at += got;
    }
    return 0;
}

static int skip(int socket, size_t count) {
    char scrap[4096];
    for (; count > 0;) {
        size_t part = count < sizeof scrap ? count : sizeof scrap;
        if (receive_all(socket, scrap, part)) return -1;
        count -= part;
    }
    return 0;
}

static void send_message(struct node *node, const uint32_t *head, const void *data, size_t count) {
    pthread_mutex_lock(&node->sending);
    if (!send_all(node->stream, head, HEAD_WORDS * 4) && count) send_all(node->stream, data, count);
    pthread_mutex_unlock(&node->sending);
}

/* The program's descriptor; `state` is locked */

static void make_unwritable(struct node *node) {
    static const char zeros[4096];
    while (send(node->fd, zeros, sizeof zeros, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {}
    node->full = 1;
}

static void make_writable(struct node *node) {
    char scrap[65536];
    while (recv(node->peer, scrap, sizeof scrap, MSG_DONTWAIT) > 0) {}
    node->full = 0;
}

/* Transfers; `state` is locked */

static struct urb *take_flying(struct node *node, uint32_t number) {
    for (struct urb **at = &node->flying; *at; at = &(*at)->next)
        if ((*at)->number == number) {
            struct urb *found = *at;
            *at = found->next;
            return found;
        }
    return NULL;
}

static void end(struct node *node, struct urb *urb, int status, int count) {
    urb->ended = 1;
    urb->status = status;
    if (urb->owner) {
        urb->owner->status = status;
        urb->owner->actual_length = count;
        urb->next = NULL;
        *node->ended_tail = urb;
        node->ended_tail = &urb->next;
        if (node->full && !node->gone) make_writable(node);
    }
    pthread_cond_broadcast(&node->changed);
}

static struct urb *start(struct node *node, struct usbdevfs_urb *owner, int is_in) {
    struct urb *urb = calloc(1, sizeof *urb);
    if (!urb) return NULL;
    node->last_number = (node->last_number + 1) & ~UNLINK_BIT;
    urb->owner = owner;
    urb->is_in = is_in;
    urb->number = node->last_number;
    urb->next = node->flying;
    node->flying = urb;
    return urb;
}

/* Read one message of the device; -1 at the end of the stream. `state` is locked meanwhile, as the
 * transfer's buffer must stay the program's until its data is in. */
static int take_message(struct node *node, const uint32_t *head) {
    uint32_t command = ntohl(head[0]), number = ntohl(head[1]);
    int status = (int)ntohl(head[5]), count = (int)ntohl(head[6]);
    if (command == RET_UNLINK) {
        struct urb *urb = status ? take_flying(node, number & ~UNLINK_BIT) : NULL;
        if (urb) end(node, urb, -ENOENT, 0);
        return 0;
    }
    if (command != RET_SUBMIT || count < 0) return -1;
    struct urb *urb = take_flying(node, number);
    struct usbdevfs_urb *owner = urb ? urb->owner : NULL;
    int lost = 0;
    if (!urb || urb->is_in) {
        int is_control = owner && owner->type == USBDEVFS_URB_TYPE_CONTROL;
        int room = owner ? owner->buffer_length - (is_control ? 8 : 0) : 0;
        int kept = count < room ? count : room;
        if (kept > 0) lost = receive_all(node->stream, (char *)owner->buffer + (is_control ? 8 : 0), kept);
        if (!lost) lost = skip(node->stream, count - (kept > 0 ? kept : 0));
        count = kept;
    }
    if (urb) end(node, urb, lost ? -EPROTO : status, count);
    return lost;
}

static void *read_stream(void *argument) {
    struct node *node = argument;
    uint32_t head[HEAD_WORDS];
    int lost = 0;
    while (!lost && !receive_all(node->stream, head, sizeof head)) {
        pthread_mutex_lock(&node->state);
        lost = take_message(node, head);
        pthread_mutex_unlock(&node->state);
    }
    pthread_mutex_lock(&node->state);
    make_unwritable(node); /* bytes unread in a closed peer: POLLERR beside POLLHUP */
    node->gone = 1;
    while (node->flying) end(node, take_flying(node, node->flying->number), -ESHUTDOWN, 0);
    real_close(node->peer);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->state);
    return NULL;
}

/* Open and close */

static int is_node(const char *path) {
    unsigned bus, device;
    char rest;
    return path && sscanf(path, "/dev/bus/usb/%3u/%3u%c", &bus, &device, &rest) == 2;
}

static int connect_to(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (stream < 0) return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(stream, (void *)&address, sizeof address)) {
        int error = errno;
        real_close(stream);
        return fail(error == ECONNREFUSED ? ENODEV : error);
    }
    return stream;
}

static struct node *new_node(int stream, const char *path) {
    int pair[2], small = 4096;
    struct node *node = calloc(1, sizeof *node);
    if (!node) return NULL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        free(node);
        return NULL;
    }
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    node->fd = pair[0];
    node->peer = pair[1];
    node->stream = stream;
    node->ended_tail = &node->ended;
    for (int i = 0; i < INTERFACES_MAX; i++) node->claims[i] = -1;
    snprintf(node->path, sizeof node->path, "%s", path);
    pthread_mutex_init(&node->state, NULL);
    pthread_mutex_init(&node->sending, NULL);
    pthread_cond_init(&node->changed, NULL);
    make_unwritable(node);
    return node;
}

static int open_node(const char *path) {
    int stream = connect_to(path);
    if (stream < 0) return -1;
    struct node *node = new_node(stream, path);
    if (!node || node->fd >= DESCRIPTORS_MAX || pthread_create(&node->reader, NULL, read_stream, node)) {
        real_close(stream);
        if (node) real_close(node->fd), real_close(node->peer);
        free(node);
        return fail(EMFILE);
    }
    nodes[node->fd] = node;
    return node->fd;
}

EXPORTED int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return is_node(path) ? open_node(path) : real_open(path, flags, mode);
}

EXPORTED int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = va_arg(rest, int);
    va_end(rest);
    return is_node(path) ? open_node(path) : real_open(path, flags | O_LARGEFILE, mode);
}

/* What open becomes in a program that was compiled with _FORTIFY_SOURCE, as Debian's libusb is. */
EXPORTED int __open_2(const char *path, int flags) { return open(path, flags); }
EXPORTED int __open64_2(const char *path, int flags) { return open64(path, flags); }

static void free_all(struct urb *urb) {
    while (urb) {
        struct urb *next = urb->next;
        free(urb);
        urb = next;
    }
}

EXPORTED int close(int fd) {
    struct node *node = node_of(fd);
    if (!node) return real_close(fd);
    /* The thread ends before any number is free: the kernel gives it to the next open at once. */
    nodes[fd] = NULL;
    shutdown(node->stream, SHUT_RDWR);
    pthread_join(node->reader, NULL);
    real_close(node->stream);
    for (int i = 0; i < INTERFACES_MAX; i++)
        if (node->claims[i] >= 0) real_close(node->claims[i]);
    free_all(node->flying);
    free_all(node->ended);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->state);
    pthread_mutex_destroy(&node->sending);
    free(node);
    return real_close(fd);
}

/* Requests */

static int submit(struct node *node, struct usbdevfs_urb *owner) {
    int is_control = owner->type == USBDEVFS_URB_TYPE_CONTROL, skipped = is_control ? 8 : 0;
    const unsigned char *buffer = owner->buffer;
    if (owner->type == USBDEVFS_URB_TYPE_ISO || owner->buffer_length < skipped) return fail(EINVAL);
    int is_in = ((is_control ? buffer[0] : owner->endpoint) & 0x80) != 0;
    int count = owner->buffer_length - skipped;
    pthread_mutex_lock(&node->state);
    struct urb *urb = node->gone ? NULL : start(node, owner, is_in);
    uint32_t number = urb ? urb->number : 0;
    int error = node->gone ? ENODEV : ENOMEM;
    pthread_mutex_unlock(&node->state);
    if (!urb) return fail(error);
    uint32_t head[HEAD_WORDS] = {htonl(CMD_SUBMIT), htonl(number), 0, htonl(is_in),
                                 htonl(owner->endpoint & 15), 0, htonl(count)};
    if (is_control) memcpy(head + 10, buffer, 8);
    send_message(node, head, buffer + skipped, is_in ? 0 : count);
    return 0;
}

static int discard(struct node *node, struct usbdevfs_urb *owner) {
    uint32_t number = 0;
    pthread_mutex_lock(&node->state);
    for (struct urb *urb = node->flying; urb; urb = urb->next)
        if (urb->owner == owner) number = urb->number;
    int gone = node->gone;
    pthread_mutex_unlock(&node->state);
    if (!number || gone) return fail(EINVAL);
    uint32_t head[HEAD_WORDS] = {htonl(CMD_UNLINK), htonl(number | UNLINK_BIT), 0, 0, 0, htonl(number)};
    send_message(node, head, NULL, 0);
    return 0;
}

static int reap(struct node *node, struct usbdevfs_urb **to, int wait) {
    pthread_mutex_lock(&node->state);
    while (wait && !node->ended && !node->gone) pthread_cond_wait(&node->changed, &node->state);
    struct urb *urb = node->ended;
    int gone = node->gone;
    if (urb) {
        node->ended = urb->next;
        if (!node->ended) {
            node->ended_tail = &node->ended;
            if (!gone) make_unwritable(node);
        }
        *to = urb->owner;
    }
    pthread_mutex_unlock(&node->state);
    free(urb);
    return urb ? 0 : fail(gone ? ENODEV : EAGAIN);
}

/* A control request without data, of this library's own; waits for its end. */
static int request(struct node *node, int type, int number, int value, int index) {
    pthread_mutex_lock(&node->state);
    struct urb *urb = node->gone ? NULL : start(node, NULL, 0);
    if (!urb) {
        pthread_mutex_unlock(&node->state);
        return fail(ENODEV);
    }
    uint32_t head[HEAD_WORDS] = {htonl(CMD_SUBMIT), htonl(urb->number)};
    unsigned char setup[8] = {type, number, value & 255, value >> 8, index & 255, index >> 8};
    memcpy(head + 10, setup, sizeof setup);
    pthread_mutex_unlock(&node->state);
    send_message(node, head, NULL, 0);
    pthread_mutex_lock(&node->state);
    while (!urb->ended) pthread_cond_wait(&node->changed, &node->state);
    int status = urb->status;
    pthread_mutex_unlock(&node->state);
    free(urb);
    return status ? fail(-status) : 0;
}

/* Claims and kernel drivers */

static void beside(const struct node *node, const char *name, char *path) {
    snprintf(path, 2 * PATH_BYTES, "%s.%s", node->path, name);
}

static int driver(const struct node *node, char *name, size_t size) {
    char path[2 * PATH_BYTES];
    beside(node, "driver", path);
    int file = real_open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t count = read(file, name, size - 1);
    name[count > 0 ? count : 0] = 0;
    real_close(file);
    return 0;
}

static int detach(const struct node *node) {
    char path[2 * PATH_BYTES];
    beside(node, "driver", path);
    return unlink(path) ? fail(ENODATA) : 0;
}

static int claim(struct node *node, unsigned interface) {
    char path[2 * PATH_BYTES], name[32];
    if (node->gone) return fail(ENODEV);
    if (interface >= INTERFACES_MAX) return fail(EINVAL);
    if (!driver(node, name, sizeof name)) return fail(EBUSY);
    if (node->claims[interface] >= 0) return 0;
    snprintf(name, sizeof name, "claim%u", interface);
    beside(node, name, path);
    int file = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return fail(ENODEV);
    if (flock(file, LOCK_EX | LOCK_NB)) {
        real_close(file);
        return fail(EBUSY);
    }
    node->claims[interface] = file;
    return 0;
}

static int release(struct node *node, unsigned interface) {
    if (interface >= INTERFACES_MAX || node->claims[interface] < 0) return fail(EINVAL);
    real_close(node->claims[interface]);
    node->claims[interface] = -1;
    return 0;
}

static int driver_request(struct node *node, const struct usbdevfs_ioctl *about) {
    if (about->ioctl_code == USBDEVFS_DISCONNECT) return detach(node);
    return fail(about->ioctl_code == USBDEVFS_CONNECT ? EBUSY : ENOTTY);
}

static int disconnect_and_claim(struct node *node, const struct usbdevfs_disconnect_claim *about) {
    detach(node);
    return claim(node, about->interface);
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
    va_list rest;
    va_start(rest, code);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct node *node = node_of(fd);
    return node ? node_ioctl(node, code, argument) : real_ioctl(fd, code, argument);
}
