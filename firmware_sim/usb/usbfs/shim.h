/* What the files of the shim share; shim.c says what the shim is. */
#ifndef SHIM_H
#define SHIM_H
#define _GNU_SOURCE
#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/ioctl.h>

enum { INTERFACES_MAX = 8, PATH_BYTES = 64, HEAD_WORDS = 12 };
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
    char path[PATH_BYTES];         /* of the socket */
};

/* The libc's own, behind what shim.c exports. */
extern int (*real_open)(const char *, int, ...);
extern int (*real_close)(int);

static inline int fail(int error) {
    errno = error;
    return -1;
}

/* Functions that return int return 0, or -1 with errno set.
 * node.c: a node from its opening to its end */
struct node *node_open(const char *socket_path); /* NULL with errno set */
void node_close(struct node *node);              /* frees all but the program's descriptor */

/* transfers.c: the requests of a program, and what the stream answers */
int submit(struct node *node, struct usbdevfs_urb *owner);
int discard(struct node *node, struct usbdevfs_urb *owner);
int reap(struct node *node, struct usbdevfs_urb **to, int wait);
int request(struct node *node, int type, int number, int value, int index);
int take_message(struct node *node, const uint32_t *head); /* `state` is locked */
void end_all(struct node *node);                           /* `state` is locked */
void free_all(struct node *node);

/* node.c: what the program polls. `state` is locked */
void make_unwritable(struct node *node);
void make_writable(struct node *node);

/* node.c: the stream */
int send_all(int socket, const void *data, size_t count);
int receive_all(int socket, void *data, size_t count);
int skip(int socket, size_t count);

/* claims.c */
int claim(struct node *node, unsigned interface);
int release(struct node *node, unsigned interface);
int driver(const struct node *node, char *name, size_t size);
int driver_request(struct node *node, const struct usbdevfs_ioctl *about);
int disconnect_and_claim(struct node *node, const struct usbdevfs_disconnect_claim *about);
#endif
