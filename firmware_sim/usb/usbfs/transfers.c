/* Transfers: an URB of the program, from its submission until it is reaped. */
#include "shim.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static void send_message(struct node *node, const uint32_t *head, const void *data, size_t count) {
    pthread_mutex_lock(&node->sending);
    if (!send_all(node->stream, head, HEAD_WORDS * 4) && count) send_all(node->stream, data, count);
    pthread_mutex_unlock(&node->sending);
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
int take_message(struct node *node, const uint32_t *head) {
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
        int skipped = owner && owner->type == USBDEVFS_URB_TYPE_CONTROL ? 8 : 0; /* the setup */
        int room = owner ? owner->buffer_length - skipped : 0;
        int kept = count < room ? count : room;
        if (kept > 0) lost = receive_all(node->stream, (char *)owner->buffer + skipped, kept);
        if (!lost) lost = skip(node->stream, count - (kept > 0 ? kept : 0));
        count = kept;
    }
    if (urb) end(node, urb, lost ? -EPROTO : status, count);
    return lost;
}

void end_all(struct node *node) {
    while (node->flying) end(node, take_flying(node, node->flying->number), -ESHUTDOWN, 0);
    pthread_cond_broadcast(&node->changed);
}

static void free_list(struct urb *urb) {
    while (urb) {
        struct urb *next = urb->next;
        free(urb);
        urb = next;
    }
}

void free_all(struct node *node) {
    free_list(node->flying);
    free_list(node->ended);
}

/* Requests */

int submit(struct node *node, struct usbdevfs_urb *owner) {
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

int discard(struct node *node, struct usbdevfs_urb *owner) {
    uint32_t number = 0;
    pthread_mutex_lock(&node->state);
    for (struct urb *urb = node->flying; urb; urb = urb->next)
        if (urb->owner == owner) number = urb->number;
    int gone = node->gone;
    pthread_mutex_unlock(&node->state);
    if (!number || gone) return fail(EINVAL);
    uint32_t head[HEAD_WORDS] = {htonl(CMD_UNLINK), htonl(number | UNLINK_BIT), 0, 0, 0,
                                 htonl(number)};
    send_message(node, head, NULL, 0);
    return 0;
}

int reap(struct node *node, struct usbdevfs_urb **to, int wait) {
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
int request(struct node *node, int type, int number, int value, int index) {
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

