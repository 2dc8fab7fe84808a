/* A node that a program has open: the stream to the simulated device, and the descriptor. */
#include "shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The stream */

int send_all(int socket, const void *data, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t sent = send(socket, (const char *)data + at, count - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        at += sent;
    }
    return 0;
}

int receive_all(int socket, void *data, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t got = recv(socket, (char *)data + at, count - at, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return -1;
        at += got;
    }
    return 0;
}

int skip(int socket, size_t count) {
    char scrap[4096];
    for (; count > 0;) {
        size_t part = count < sizeof scrap ? count : sizeof scrap;
        if (receive_all(socket, scrap, part)) return -1;
        count -= part;
    }
    return 0;
}

/* The program's descriptor; `state` is locked */

void make_unwritable(struct node *node) {
    static const char zeros[4096];
    while (send(node->fd, zeros, sizeof zeros, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {}
    node->full = 1;
}

void make_writable(struct node *node) {
    char scrap[65536];
    while (recv(node->peer, scrap, sizeof scrap, MSG_DONTWAIT) > 0) {}
    node->full = 0;
}

/* The thread of a node: reads until the device closes the stream, or the program the node. */
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
    end_all(node);
    real_close(node->peer);
    pthread_mutex_unlock(&node->state);
    return NULL;
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

static void free_node(struct node *node) {
    free_all(node);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->state);
    pthread_mutex_destroy(&node->sending);
    free(node);
}

struct node *node_open(const char *path) {
    int stream = connect_to(path);
    if (stream < 0) return NULL;
    struct node *node = new_node(stream, path);
    if (node && !pthread_create(&node->reader, NULL, read_stream, node)) return node;
    real_close(stream);
    if (node) {
        real_close(node->fd);
        real_close(node->peer);
        free_node(node);
    }
    errno = EMFILE;
    return NULL;
}

void node_close(struct node *node) {
    shutdown(node->stream, SHUT_RDWR);
    pthread_join(node->reader, NULL);
    real_close(node->stream);
    for (unsigned i = 0; i < INTERFACES_MAX; i++)
        if (node->claims[i] >= 0) real_close(node->claims[i]);
    free_node(node);
}
