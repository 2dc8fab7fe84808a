/* Claims of interfaces, and the kernel driver that a device may have: files beside its socket. */
#include "shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

static void beside(const struct node *node, const char *name, char *path) {
    snprintf(path, 2 * PATH_BYTES, "%s.%s", node->path, name);
}

int driver(const struct node *node, char *name, size_t size) {
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

int claim(struct node *node, unsigned interface) {
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

int release(struct node *node, unsigned interface) {
    if (interface >= INTERFACES_MAX || node->claims[interface] < 0) return fail(EINVAL);
    real_close(node->claims[interface]);
    node->claims[interface] = -1;
    return 0;
}

int driver_request(struct node *node, const struct usbdevfs_ioctl *about) {
    if (about->ioctl_code == USBDEVFS_DISCONNECT) return detach(node);
    return fail(about->ioctl_code == USBDEVFS_CONNECT ? EBUSY : ENOTTY);
}

int disconnect_and_claim(struct node *node, const struct usbdevfs_disconnect_claim *about) {
    detach(node);
    return claim(node, about->interface);
}

