/* Linux's evdev in user space: loaded into a program (LD_PRELOAD) by `firmware-sim input-rig`.
 *
 * A simulated input device is a unix socket whose name begins with "event" (node.py). open() on it
 * makes a connection that carries struct input_event; each ioctl() is a connection of its own, one
 * request and one answer. read() does what the kernel's evdev does with its buffer of 64 events for
 * each opening: a program that reads too late finds SYN_DROPPED and the newest event. A device that
 * is unplugged closes the connection: read() then fails with ENODEV, and poll() reports POLLHUP.
 *
 * Not simulated: a read that waits, dup, and passing the descriptor to another process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/input.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FDS_MAX 4096
#define RING 64 /* EVDEV_MIN_BUFFER_SIZE of drivers/input/evdev.c; a keyboard gets no more */
#define DATA_BYTES 256

enum { OPEN = 1, IOCTL = 2 };

struct request {
    uint32_t what, request;
    uint64_t client, argument;
    uint8_t data[DATA_BYTES];
} __attribute__((packed));

struct answer {
    int32_t result, error;
    uint8_t data[DATA_BYTES];
} __attribute__((packed));

/* One opening. The ring's indices are those of struct evdev_client. */
struct opening {
    uint64_t client;
    struct sockaddr_un address;
    struct input_event ring[RING];
    unsigned head, tail, packet_head;
    uint8_t part[sizeof(struct input_event)];
    size_t part_bytes;
    int gone;
};

static struct opening *openings[FDS_MAX];
static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static ssize_t (*real_read)(int, void *, size_t);
static int (*real_close)(int);
static uint32_t counter;

__attribute__((constructor)) static void find_real(void)
{
    real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    real_ioctl = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    real_read = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    real_close = (int (*)(int))dlsym(RTLD_NEXT, "close");
}

static struct opening *opening_of(int fd)
{
    return fd >= 0 && fd < FDS_MAX ? openings[fd] : NULL;
}

/* Connect to the device and send one request; return the connection, or -1 with errno. */
static int ask(const struct sockaddr_un *address, const struct request *request)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 ||
        send(fd, request, sizeof *request, MSG_NOSIGNAL) != (ssize_t)sizeof *request) {
        int error = errno;
        real_close(fd);
        /* ECONNREFUSED: its name is still there, the device is not. */
        errno = error == ECONNREFUSED || error == EPIPE ? ENODEV : error;
        return -1;
    }
    return fd;
}

/* Whether `path` leads to a simulated device; its address then. */
static int find_device(const char *path, struct sockaddr_un *address)
{
    char *real = realpath(path, NULL);
    struct stat about;
    const char *name = real != NULL ? strrchr(real, '/') : NULL;
    int found = name != NULL && strncmp(name, "/event", 6) == 0 && stat(real, &about) == 0 &&
                S_ISSOCK(about.st_mode) && strlen(real) < sizeof address->sun_path;
    if (found) {
        memset(address, 0, sizeof *address);
        address->sun_family = AF_UNIX;
        strcpy(address->sun_path, real);
    }
    free(real);
    return found;
}

static int open_device(const struct sockaddr_un *address, int flags)
{
    struct opening *opening = calloc(1, sizeof *opening);
    if (opening == NULL) {
        errno = ENOMEM;
        return -1;
    }
    opening->address = *address;
    opening->client = (uint64_t)getpid() << 32 | __sync_add_and_fetch(&counter, 1);
    struct request request = {.what = OPEN, .client = opening->client};
    int fd = ask(address, &request);
    if (fd < 0 || fd >= FDS_MAX) {
        if (fd >= 0) {
            real_close(fd);
            errno = EMFILE;
        }
        free(opening);
        return -1;
    }
    fcntl(fd, F_SETFL, flags & O_NONBLOCK);
    openings[fd] = opening;
    return fd;
}

/* The kernel answers ENXIO to the opening of a socket: then it may be one of ours. */
static int opened(const char *path, int flags, mode_t mode)
{
    struct sockaddr_un address;
    int fd = real_open(path, flags, mode);
    if (fd >= 0 || errno != ENXIO)
        return fd;
    if (find_device(path, &address))
        return open_device(&address, flags);
    errno = ENXIO;
    return -1;
}

#define MODE_OF(flags, mode)                 \
    mode_t mode = 0;                         \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { \
        va_list rest;                        \
        va_start(rest, flags);               \
        mode = va_arg(rest, mode_t);         \
        va_end(rest);                        \
    }

EXPORT int open(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return opened(path, flags, mode);
}

EXPORT int open64(const char *path, int flags, ...)
{
    MODE_OF(flags, mode)
    return opened(path, flags | O_LARGEFILE, mode);
}

EXPORT int close(int fd)
{
    struct opening *opening = opening_of(fd);
    if (opening != NULL) {
        openings[fd] = NULL; /* first: another thread may get the number at once */
        free(opening);
    }
    return real_close(fd);
}

/* __pass_event of evdev.c. */
static void pass(struct opening *opening, const struct input_event *event)
{
    opening->ring[opening->head++] = *event;
    opening->head &= RING - 1;
    if (opening->head == opening->tail) {
        opening->tail = (opening->head - 2) & (RING - 1);
        opening->ring[opening->tail] = (struct input_event){
            .input_event_sec = event->input_event_sec,
            .input_event_usec = event->input_event_usec,
            .type = EV_SYN,
            .code = SYN_DROPPED,
        };
        opening->packet_head = opening->tail;
    }
    if (event->type == EV_SYN && event->code == SYN_REPORT)
        opening->packet_head = opening->head;
}

/* Take everything that the device has sent since the last read. */
static void fill(int fd, struct opening *opening)
{
    for (;;) {
        ssize_t count = recv(fd, opening->part + opening->part_bytes,
                             sizeof opening->part - opening->part_bytes, MSG_DONTWAIT);
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return;
        if (count <= 0) {
            opening->gone = 1;
            return;
        }
        opening->part_bytes += (size_t)count;
        if (opening->part_bytes == sizeof opening->part) {
            struct input_event event;
            memcpy(&event, opening->part, sizeof event);
            opening->part_bytes = 0;
            pass(opening, &event);
        }
    }
}

EXPORT ssize_t read(int fd, void *buffer, size_t size)
{
    struct opening *opening = opening_of(fd);
    if (opening == NULL)
        return real_read(fd, buffer, size);
    fill(fd, opening);
    if (opening->gone) {
        errno = ENODEV;
        return -1;
    }
    if (size < sizeof(struct input_event)) {
        errno = EINVAL;
        return -1;
    }
    size_t taken = 0;
    while (opening->tail != opening->packet_head && taken + sizeof(struct input_event) <= size) {
        memcpy((uint8_t *)buffer + taken, &opening->ring[opening->tail], sizeof(struct input_event));
        opening->tail = (opening->tail + 1) & (RING - 1);
        taken += sizeof(struct input_event);
    }
    if (taken == 0) {
        errno = EAGAIN;
        return -1;
    }
    return (ssize_t)taken;
}

static int ask_ioctl(const struct opening *opening, unsigned long number, void *argument)
{
    size_t bytes = _IOC_SIZE(number);
    int by_value = number == EVIOCGRAB;
    struct request request = {
        .what = IOCTL,
        .request = (uint32_t)number,
        .client = opening->client,
        .argument = (uint64_t)(uintptr_t)argument,
    };
    if (bytes > DATA_BYTES) {
        errno = EINVAL;
        return -1;
    }
    if (!by_value && _IOC_DIR(number) & _IOC_WRITE)
        memcpy(request.data, argument, bytes);
    int fd = ask(&opening->address, &request);
    if (fd < 0) {
        errno = errno == ENOENT ? ENODEV : errno;
        return -1;
    }
    struct answer answer;
    ssize_t count = recv(fd, &answer, sizeof answer, MSG_WAITALL);
    real_close(fd);
    if (count != (ssize_t)sizeof answer) {
        errno = ENODEV;
        return -1;
    }
    if (answer.error != 0) {
        errno = answer.error;
        return -1;
    }
    if (!by_value && _IOC_DIR(number) & _IOC_READ)
        memcpy(argument, answer.data, bytes);
    return answer.result;
}

EXPORT int ioctl(int fd, unsigned long number, ...)
{
    va_list rest;
    va_start(rest, number);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    struct opening *opening = opening_of(fd);
    if (opening == NULL)
        return real_ioctl(fd, number, argument);
    if (_IOC_TYPE(number) != 'E') {
        errno = ENOTTY;
        return -1;
    }
    return ask_ioctl(opening, number, argument);
}
