/* The upper limit for comparison: a server in C that does one write per delivery and nothing else.
 *
 *     limit PORT        on the loopback address, until it is killed
 *
 * It implements only the part of the protocol that the load generator needs. It answers a handshake with a greeting, and
 * the first frame of a client with subscription_succeeded. It sends the body of every POST, without any check, to all
 * connected clients. Its sockets block, so that no event is lost. It expects each request and each frame in one read. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 65536 /* open files */

static int subscribers[MOST], count, place[MOST]; /* place: the index of a file in subscribers plus one, or 0 */
static char in[65536], out[65536 + 4];

static size_t frame(const char *text, size_t length) {
    size_t head = length < 126 ? 2 : 4;
    out[0] = (char)0x81;
    out[1] = length < 126 ? length : 126;
    if (head == 4) out[2] = length >> 8, out[3] = length;
    memcpy(out + head, text, length);
    return head + length;
}

static void send_bytes(int fd, const char *bytes, size_t length) {
    if (write(fd, bytes, length) < 0) { /* the client is gone; the next read sees the end */
    }
}

static void leave(int fd) {
    if (place[fd]) {
        int last = subscribers[--count];
        subscribers[place[fd] - 1] = last;
        place[last] = place[fd];
        place[fd] = 0;
    }
    close(fd);
}

static void serve(int fd) {
    static const char ACCEPT[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    static const char GREETING[] = "{\"event\":\"pusher:connection_established\",\"data\":\"{}\"}";
    static const char WELCOME[] = "{\"event\":\"pusher_internal:subscription_succeeded\",\"data\":\"{}\"}";
    static const char DONE[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    ssize_t length = read(fd, in, sizeof in);
    if (length <= 0) {
        leave(fd);
    } else if (!memcmp(in, "GET ", 4)) {
        send_bytes(fd, ACCEPT, sizeof ACCEPT - 1);
        send_bytes(fd, out, frame(GREETING, sizeof GREETING - 1));
    } else if (!memcmp(in, "POST", 4)) {
        char *body = memmem(in, length, "\r\n\r\n", 4);
        if (body) {
            size_t size = frame(body + 4, in + length - body - 4);
            for (int i = 0; i < count; i++) send_bytes(subscribers[i], out, size);
        }
        send_bytes(fd, DONE, sizeof DONE - 1);
    } else if (!place[fd]) {
        subscribers[count++] = fd;
        place[fd] = count;
        send_bytes(fd, out, frame(WELCOME, sizeof WELCOME - 1));
    }
}

int main(int arguments, char **argument) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event found[256], wish = {.events = EPOLLIN};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0);
    if (arguments != 2) return 2;
    signal(SIGPIPE, SIG_IGN);
    address.sin_port = htons(atoi(argument[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 4096)) {
        perror("limit");
        return 1;
    }
    wish.data.fd = listener;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &wish);
    for (;;) {
        int ready = epoll_wait(poller, found, 256, -1);
        for (int i = 0; i < ready; i++) {
            if (found[i].data.fd != listener) {
                serve(found[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0 || fd >= MOST) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            wish.data.fd = fd;
            epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wish);
        }
    }
}
