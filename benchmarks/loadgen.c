/* The load generator: one thread with WebSocket subscribers and REST publishers, for one server or for several nodes that
 * act as one server, on the loopback address. It keeps a ledger of every event for each subscriber and prints one JSON
 * object.
 *
 *     loadgen NAME=VALUE ...        a value is a whole number, unless the line below says "text"
 *
 *     port         the port of the server; for several nodes all ports, such as 6001,6002
 *     pid          the server's process id, to read its CPU time and memory; for several nodes all ids, then the one of Redis
 *     subscribers  connections; number i is on channel i % channels; the subscribers of a channel alternate between the nodes
 *     subscribe_at the node of all subscribers, from 1; with 0 they alternate between the nodes
 *     channels     the number of channels
 *     kind         text: the channels' prefix, such as "private-" or "presence-"; subscriptions are signed if needed
 *     parallel     the most connections that are opening or subscribing at once; 0 for no limit
 *     rounds       the number of times that all clients connect and leave; only the last round publishes
 *     publishers   REST connections, each with one request in flight; they alternate between the nodes
 *     publish_at   the node of all publishers, from 1; with 0 they alternate between the nodes
 *     events       the most events; number e goes to channel e % channels
 *     duration     milliseconds after which no new event is sent
 *     idle         milliseconds before the first event, to measure the processes while they are idle
 *     rate         events per second; 0 for as fast as the server answers
 *     size         bytes of an event's data
 *     window       client events that each subscriber may have in flight; 0 to publish over REST instead
 *     ping         1 to send one ping per millisecond on a connection of its own
 *     seconds      the time limit
 *     host         text: the address
 *     tls          1 to speak TLS 1.3 on every connection; needs -DTLS -lssl -lcrypto when this is compiled
 *
 * The credentials are those of the default app. Every option has a bound: see main. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef struct ssl_st SSL;
#endif

#define APP_ID "app-id"
#define APP_KEY "app-key"
#define APP_SECRET "app-secret"
#define INBOX (8 << 20)  /* bytes that one incomplete message and one read may have together */
#define READ_SIZE (256 << 10)
#define BATCH 512        /* sockets that one epoll_wait returns at most */
#define AT_ONCE 32       /* sockets that are served before the urgent ones are served again */
#define NODES 8          /* at most */
#define PER_ADDRESS 20000 /* connections per source address, which has about 28,000 ports */

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("loadgen: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void *zeroed(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory) die("no memory");
    return memory;
}

/* ---------------------------------------------------------------------------------------------------- Options */

static long ports[NODES], pids[NODES + 1], nodes, processes; /* processes may have one more entry than nodes: Redis */
static long subscribers = 1, channels = 1, parallel = 200, rounds = 1, publishers, events, duration = 3000, idle;
static long subscribe_at, publish_at, rate, size = 64, window, ping, seconds = 60, tls;
static const char *kind = "", *host = "127.0.0.1";

static const struct { const char *name; long *value, least, most; } NUMBERS[] = {
    {"subscribers", &subscribers, 1, 60000}, {"subscribe_at", &subscribe_at, 0, NODES},
    {"channels", &channels, 1, 60000},  {"parallel", &parallel, 0, 60000}, {"rounds", &rounds, 1, 20},
    {"publishers", &publishers, 0, 64}, {"publish_at", &publish_at, 0, NODES},
    {"events", &events, 0, 1000000},    {"duration", &duration, 0, 60000}, {"idle", &idle, 0, 60000},
    {"rate", &rate, 0, 1000000},        {"size", &size, 32, 8192},         {"window", &window, 0, 64},
    {"ping", &ping, 0, 1},              {"seconds", &seconds, 1, 300},     {"tls", &tls, 0, 1},
};

/* Read whole numbers with commas between them; return their number. */
static long read_list(const char *name, char *value, long *to, long room, long least, long most) {
    long count = 0;
    for (char *stop; ; value = stop + 1) {
        if (count == room) die("%s may be %ld numbers", name, room);
        to[count] = strtol(value, &stop, 10);
        if (to[count] < least || to[count] > most) die("%s must be from %ld to %ld", name, least, most);
        count++;
        if (*stop != ',') return count;
    }
}

static void read_option(char *option) {
    char *value = strchr(option, '=');
    if (!value) die("%s is not of the form NAME=VALUE", option);
    *value++ = 0;
    if (!strcmp(option, "kind")) { kind = value; return; }
    if (!strcmp(option, "host")) { host = value; return; }
    if (!strcmp(option, "port")) { nodes = read_list(option, value, ports, NODES, 1, 65535); return; }
    if (!strcmp(option, "pid")) { processes = read_list(option, value, pids, NODES + 1, 0, 1 << 30); return; }
    for (size_t i = 0; i < sizeof NUMBERS / sizeof *NUMBERS; i++)
        if (!strcmp(option, NUMBERS[i].name)) {
            *NUMBERS[i].value = atol(value);
            if (*NUMBERS[i].value < NUMBERS[i].least || *NUMBERS[i].value > NUMBERS[i].most)
                die("%s must be from %ld to %ld", option, NUMBERS[i].least, NUMBERS[i].most);
            return;
        }
    die("there is no option %s", option);
}

/* ----------------------------------------------------------------------------------------------- Measurements */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double own_cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Read the seconds of CPU, in user and kernel mode, that each process has used. */
typedef struct { double of[NODES + 1]; } Cpu;

static Cpu read_cpu(void) {
    Cpu used = {0};
    for (long i = 0; i < processes; i++) {
        clockid_t clock;
        struct timespec t;
        if (pids[i] && !clock_getcpuclockid(pids[i], &clock) && !clock_gettime(clock, &t))
            used.of[i] = t.tv_sec + t.tv_nsec * 1e-9;
    }
    return used;
}

static Cpu since(Cpu before) {
    Cpu used = read_cpu();
    for (long i = 0; i < processes; i++) used.of[i] -= before.of[i];
    return used;
}

/* Return the CPU of the server: the sum of its nodes, without Redis. */
static double of_server(Cpu used) {
    double sum = 0;
    for (long i = 0; i < nodes; i++) sum += used.of[i];
    return sum;
}

static double server_cpu(void) { return of_server(read_cpu()); }

static void print_cpu(const char *name, Cpu used) {
    printf("\"%s\": [", name);
    for (long i = 0; i < processes; i++) printf("%s%.1f", i ? ", " : "", used.of[i] * 1e6);
    printf("]");
}

/* Return the resident memory of the server in KiB, the sum of its nodes. */
static long server_rss(void) {
    long sum = 0;
    for (long i = 0; i < nodes && i < processes; i++) {
        char path[64];
        long pages = 0;
        snprintf(path, sizeof path, "/proc/%ld/statm", pids[i]);
        FILE *file = pids[i] ? fopen(path, "r") : NULL;
        if (!file) continue;
        if (fscanf(file, "%*d %ld", &pages) == 1) sum += pages * (sysconf(_SC_PAGESIZE) / 1024);
        fclose(file);
    }
    return sum;
}

/* A histogram of microseconds: exact below 128, then 64 steps to each doubling, so that it is right to 1.6 %. */
typedef struct { uint64_t count, bins[64 * 40]; double max; } Histogram;

static void note(Histogram *histogram, double taken) {
    uint64_t us = taken > 0 ? (uint64_t)(taken * 1e6) : 0;
    int shift = us < 128 ? 0 : 57 - __builtin_clzll(us);
    size_t bin = 64 * shift + (us >> shift);
    histogram->bins[bin < 64 * 40 ? bin : 64 * 40 - 1]++;
    histogram->count++;
    if (taken > histogram->max) histogram->max = taken;
}

static double percentile(const Histogram *histogram, double share) {
    uint64_t wanted = share * histogram->count, passed = 0;
    for (size_t bin = 0; bin < 64 * 40; bin++) {
        passed += histogram->bins[bin];
        if (passed > wanted) {
            size_t shift = bin < 128 ? 0 : bin / 64 - 1;
            return (double)((bin - 64 * shift) << shift) / 1e3;
        }
    }
    return histogram->max * 1e3;
}

static void print_times(const Histogram *h) {
    printf("{\"count\": %lu, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"max\": %.3f}", (unsigned long)h->count,
           percentile(h, .5), percentile(h, .95), percentile(h, .99), h->max * 1e3);
}

/* ------------------------------------------------------------------- Signatures: MD5 (RFC 1321), SHA-256 (FIPS 180-4) */

static uint32_t turn_left(uint32_t x, int by) { return x << by | x >> (32 - by); }

/* Pad a message to whole blocks of 64 bytes with its length in bits at the end; return the number of blocks. */
static size_t pad(uint8_t *to, const void *text, size_t length, int big_endian) {
    size_t blocks = (length + 8) / 64 + 1;
    memset(to, 0, blocks * 64);
    memcpy(to, text, length);
    to[length] = 0x80;
    for (int i = 0; i < 8; i++) to[blocks * 64 - 8 + i] = (uint64_t)length * 8 >> 8 * (big_endian ? 7 - i : i);
    return blocks;
}

static void hex(char *to, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) sprintf(to + 2 * i, "%02x", bytes[i]);
}

static void md5_hex(char *to, const void *text, size_t length) {
    static const uint8_t TURNS[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    static uint32_t sines[64];
    static uint8_t padded[16384];
    if (!sines[0]) { /* floor(2**32 * |sin(i + 1)|), by the sine of a sum so that libm is not needed */
        const double sin1 = 0.8414709848078965, cos1 = 0.5403023058681398;
        double s = sin1, c = cos1;
        for (int i = 0; i < 64; i++) {
            sines[i] = (uint32_t)(4294967296.0 * (s < 0 ? -s : s));
            double next = s * cos1 + c * sin1;
            c = c * cos1 - s * sin1;
            s = next;
        }
    }
    if (length > sizeof padded - 72) die("a body of %zu bytes is too long", length);
    uint32_t h[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    size_t blocks = pad(padded, text, length, 0);
    for (size_t block = 0; block < blocks; block++) {
        uint32_t words[16], a = h[0], b = h[1], c = h[2], d = h[3];
        memcpy(words, padded + 64 * block, 64);
        for (int i = 0; i < 64; i++) {
            uint32_t f, word;
            switch (i / 16) {
            case 0: f = (b & c) | (~b & d), word = i; break;
            case 1: f = (d & b) | (~d & c), word = 5 * i + 1; break;
            case 2: f = b ^ c ^ d, word = 3 * i + 5; break;
            default: f = c ^ (b | ~d), word = 7 * i; break;
            }
            f += a + sines[i] + words[word % 16];
            a = d, d = c, c = b, b += turn_left(f, TURNS[i / 16][i % 4]);
        }
        h[0] += a, h[1] += b, h[2] += c, h[3] += d;
    }
    hex(to, (uint8_t *)h, 16); /* for little-endian machines only */
}

static void sha256(uint8_t *to, const void *text, size_t length) {
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    static uint8_t padded[4096];
    if (length > sizeof padded - 72) die("a text of %zu bytes is too long to sign", length);
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    size_t blocks = pad(padded, text, length, 1);
    for (size_t block = 0; block < blocks; block++) {
        uint32_t w[64], s[8];
        for (int i = 0; i < 16; i++) {
            uint32_t word;
            memcpy(&word, padded + 64 * block + 4 * i, 4);
            w[i] = ntohl(word);
        }
#define RIGHT(x, by) turn_left(x, 32 - (by))
        for (int i = 16; i < 64; i++)
            w[i] = w[i - 16] + w[i - 7] + (RIGHT(w[i - 15], 7) ^ RIGHT(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   (RIGHT(w[i - 2], 17) ^ RIGHT(w[i - 2], 19) ^ w[i - 2] >> 10);
        memcpy(s, h, sizeof s);
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = s[7] + (RIGHT(s[4], 6) ^ RIGHT(s[4], 11) ^ RIGHT(s[4], 25)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
            uint32_t t2 = (RIGHT(s[0], 2) ^ RIGHT(s[0], 13) ^ RIGHT(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof *s);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++) h[i] += s[i];
    }
    for (int i = 0; i < 8; i++) {
        uint32_t word = htonl(h[i]);
        memcpy(to + 4 * i, &word, 4);
    }
}

/* Sign a text with the app's secret: HMAC-SHA256 (RFC 2104) in hexadecimal. */
static void sign(char *to, const char *text) {
    static char inner[4096], outer[64 + 32];
    uint8_t digest[32];
    size_t length = strlen(text);
    if (length > sizeof inner - 200) die("a text of %zu bytes is too long to sign", length);
    memset(inner, 0x36, 64);
    memset(outer, 0x5c, 64);
    for (size_t i = 0; i < strlen(APP_SECRET); i++) inner[i] ^= APP_SECRET[i], outer[i] ^= APP_SECRET[i];
    memcpy(inner + 64, text, length);
    sha256((uint8_t *)outer + 64, inner, 64 + length);
    sha256(digest, outer, sizeof outer);
    hex(to, digest, 32);
}

/* ----------------------------------------------------------------------------------------------------- Ledger */

/* Every event carries its number. Each subscriber has a bit for each event of its channel, and the rank of the last
 * event that it got. The rank of a REST event is its position in the order of its channel. The first subscriber that gets
 * the event sets the rank, and every other subscriber must see ascending ranks. (A sender does not get its own client
 * events, so the order of client events is checked per sender.) */
static double *sent_at;             /* of each event: the time when it was sent, or 0 */
static uint32_t *rank_of;           /* of each event: see above; 0 if no subscriber has got it */
static uint32_t *heard_by;          /* of each event: the number of subscribers that got it */
static uint16_t *publisher_of;      /* of each event: its publisher */
static uint32_t *next_rank;         /* of each channel */
static uint32_t *newest;            /* of each channel and publisher: one more than the last event that was ranked */
static uint8_t *seen;               /* of each subscriber: bits */
static uint32_t *last_rank;         /* of each subscriber and lane: a lane is a sender of its channel, or just one */
static size_t seen_size, lanes;
static uint64_t deliveries, distinct, duplicated, out_of_order, stray;
static Histogram latency;
static double last_heard;

static void open_ledger(void) {
    sent_at = zeroed(events, sizeof *sent_at);
    rank_of = zeroed(events, sizeof *rank_of);
    heard_by = zeroed(events, sizeof *heard_by);
    publisher_of = zeroed(events, sizeof *publisher_of);
    next_rank = zeroed(channels, sizeof *next_rank);
    newest = zeroed(channels * (publishers ? publishers : 1), sizeof *newest);
    lanes = window ? subscribers / channels : 1;
    seen_size = (events / channels + 8) / 8;
    seen = zeroed(subscribers, seen_size);
    last_rank = zeroed(subscribers * lanes, sizeof *last_rank);
}

static void enter(long subscriber, long event, double at) {
    last_heard = at;
    deliveries++;
    if (event >= events || !sent_at[event] || event % channels != subscriber % channels ||
        (window && event % subscribers == subscriber)) {
        stray++;
        return;
    }
    uint8_t *bits = seen + subscriber * seen_size + event / channels / 8, bit = 1 << event / channels % 8;
    if (*bits & bit) {
        duplicated++;
        return;
    }
    *bits |= bit;
    distinct++;
    heard_by[event]++;
    note(&latency, at - sent_at[event]);
    uint32_t rank = event + 1, *last = last_rank + subscriber * lanes;
    if (window)
        last += event % subscribers / channels;
    else {
        long channel = event % channels;
        if (!rank_of[event]) {
            uint32_t *of_publisher = newest + channel * publishers + publisher_of[event];
            if (*of_publisher > rank) out_of_order++;
            *of_publisher = rank;
            rank_of[event] = ++next_rank[channel];
        }
        rank = rank_of[event];
    }
    if (rank < *last) out_of_order++;
    *last = rank;
}

/* Presence: each member must learn of every member of its channel once, itself included: from the member list, or as added. */
static uint8_t *known;
static uint64_t members_known, members_twice, bytes_in;

static void know(long member, long other) {
    uint8_t *bits = known + member * ((subscribers + 7) / 8) + other / 8, bit = 1 << other % 8;
    if (other >= subscribers || other % channels != member % channels) stray++;
    else if (*bits & bit) members_twice++;
    else *bits |= bit, members_known++;
}

/* -------------------------------------------------------------------------------------------------- Connections */

enum { CONNECTING, SECURING, SHAKING, GREETED, SUBSCRIBED, ENDED };
enum { SUBSCRIBER, PUBLISHER, PINGER };

typedef struct {
    int fd, role, state;
    SSL *tls;           /* NULL without TLS */
    long number;        /* among those of its role */
    char *rest;         /* the bytes of an incomplete message */
    size_t rest_size;
    long under_way;     /* of a publisher: the event in flight, or -1; of a sender: the number of events in flight */
    long next;          /* of a sender: its next event */
} Peer;

static int poller, urgent; /* urgent: publishers and the pinger, which a backlog of deliveries must not delay */
static struct sockaddr_in addresses[NODES];
static Peer *clients, *posters, pinger;
static char *inbox, handshake[512];
static long subscribed, refused, ended, answered, failed, started;
static double start, ping_sent, ping_due;
static Histogram pings;
static char **requests;
static int *request_sizes;

/* TLS 1.3 over the non-blocking sockets of peers. The server's certificate is not verified. */
#ifdef TLS
static SSL *new_tls(int fd) {
    static SSL_CTX *context;
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION)) die("no TLS 1.3");
        SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
        SSL_CTX_set_read_ahead(context, 1); /* a record's head and body in one read */
    }
    SSL *made = SSL_new(context);
    if (!made || !SSL_set_fd(made, fd)) die("no memory");
    SSL_set_connect_state(made);
    return made;
}

static void free_tls(SSL *made) {
    SSL_free(made);
    ERR_clear_error(); /* an error of this connection must not count for the next one */
}

/* Continue the handshake; return 1 when it is done, 0 when it waits for the server, -1 when it failed. */
static int secure(SSL *made) {
    int done = SSL_do_handshake(made);
    return done == 1 ? 1 : SSL_get_error(made, done) == SSL_ERROR_WANT_READ ? 0 : -1;
}

/* Read one record; otherwise like read(2). */
static ssize_t read_tls(SSL *made, char *to, size_t room) {
    int count = SSL_read(made, to, room);
    if (count > 0) return count;
    errno = SSL_get_error(made, count) == SSL_ERROR_WANT_READ ? EAGAIN : EPROTO;
    return -1;
}

/* Return true if OpenSSL has buffered data from the socket, which epoll cannot report. */
static int holds_more(SSL *made) { return SSL_has_pending(made); }

/* Write like write(2). */
static ssize_t write_tls(SSL *made, const char *bytes, size_t count) {
    int written = SSL_write(made, bytes, count);
    if (written > 0) return written;
    errno = SSL_get_error(made, written) == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return -1;
}
#else
static SSL *new_tls(int fd) { (void)fd; die("compiled without TLS"); return NULL; }
static void free_tls(SSL *made) { (void)made; }
static int secure(SSL *made) { (void)made; return -1; }
static ssize_t read_tls(SSL *made, char *to, size_t room) { (void)made, (void)to, (void)room; return -1; }
static int holds_more(SSL *made) { (void)made; return 0; }
static ssize_t write_tls(SSL *made, const char *bytes, size_t count) { (void)made, (void)bytes, (void)count; return -1; }
#endif

/* Return the node of a peer. */
static const struct sockaddr_in *address_of(int role, long number) {
    long at = role == SUBSCRIBER ? subscribe_at : publish_at;
    long turn = at ? at - 1 : role == SUBSCRIBER ? number % channels + number / channels : number;
    return addresses + turn % nodes;
}

static void dial(Peer *peer, int role, long number) {
    static long dialled;
    struct sockaddr_in source = {.sin_family = AF_INET};
    int on = 1;
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + dialled++ / PER_ADDRESS % 200);
    *peer = (Peer){.role = role, .number = number, .under_way = role == PUBLISHER ? -1 : 0, .next = number};
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (peer->fd < 0) die("no socket: %s", strerror(errno));
    setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    /* A reset leaves no port in TIME_WAIT. */
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    if (bind(peer->fd, (void *)&source, sizeof source)) die("bind: %s", strerror(errno));
    if (connect(peer->fd, (void *)address_of(role, number), sizeof source) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    struct epoll_event wish = {.events = EPOLLIN | EPOLLOUT, .data.ptr = peer};
    epoll_ctl(role == SUBSCRIBER ? poller : urgent, EPOLL_CTL_ADD, peer->fd, &wish);
}

static void end(Peer *peer) {
    if (peer->state == ENDED) return;
    if (peer->role == SUBSCRIBER && peer->state < SUBSCRIBED) refused++;
    else if (peer->role == SUBSCRIBER) subscribed--, ended++;
    else if (peer->role == PUBLISHER && peer->under_way >= 0) failed++;
    peer->state = ENDED;
    close(peer->fd);
    free_tls(peer->tls);
    peer->tls = NULL;
    free(peer->rest);
    peer->rest = NULL;
    peer->rest_size = 0;
}

static void send_all(Peer *peer, const char *bytes, size_t count) {
    ssize_t written = peer->tls ? write_tls(peer->tls, bytes, count) : write(peer->fd, bytes, count);
    if (written == (ssize_t)count) return;
    if (written >= 0 || errno == EAGAIN) die("the server does not read what it is sent");
    end(peer);
}

/* Send a text frame, masked as RFC 6455 demands of clients. */
static void say(Peer *peer, const char *text) {
    static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
    static char frame[17100];
    size_t length = strlen(text), head = length < 126 ? 2 : 4;
    if (length > sizeof frame - 8) die("a message of %zu bytes is too long", length);
    frame[0] = (char)0x81;
    frame[1] = 0x80 | (length < 126 ? length : 126);
    if (head == 4) frame[2] = length >> 8, frame[3] = length;
    memcpy(frame + head, MASK, 4);
    for (size_t i = 0; i < length; i++) frame[head + 4 + i] = text[i] ^ MASK[i % 4];
    send_all(peer, frame, head + 4 + length);
}

/* Write the data of an event with its number, with the given form of quotes. */
static void write_data(char *to, long event, const char *quote) {
    int length = sprintf(to, "{%si%s:%s~%08lx~%s,%spad%s:%s", quote, quote, quote, event, quote, quote, quote, quote);
    long unescaped = 23 + 2; /* with quotes of one byte, and the end */
    for (long i = unescaped; i < size; i++) to[length++] = 'x';
    sprintf(to + length, "%s}", quote);
}

static void write_channel(char *to, long channel) { sprintf(to, "%sbench-%ld", kind, channel); }

static void subscribe(Peer *peer, const char *greeting, size_t length) {
    char channel[64], member[160] = "", to_sign[400], signature[65], text[1024];
    char id[48] = "";
    write_channel(channel, peer->number % channels);
    const char *at = memmem(greeting, length, "socket_id", 9);
    if (at) {
        at += strcspn(at, "0123456789");
        size_t digits = strspn(at, "0123456789.");
        if (digits < sizeof id) memcpy(id, at, digits), id[digits] = 0;
    }
    if (!*kind) {
        sprintf(text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}", channel);
    } else if (strncmp(kind, "presence-", 9)) {
        sprintf(to_sign, "%s:%s", id, channel);
        sign(signature, to_sign);
        sprintf(text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s:%s\"}}", channel,
                APP_KEY, signature);
    } else {
        sprintf(member, "{\"user_id\":\"%ld\",\"user_info\":{\"name\":\"member\"}}", peer->number);
        sprintf(to_sign, "%s:%s:%s", id, channel, member);
        sign(signature, to_sign);
        sprintf(text,
                "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s:%s\",\"channel_data\":"
                "\"{\\\"user_id\\\":\\\"%ld\\\",\\\"user_info\\\":{\\\"name\\\":\\\"member\\\"}}\"}}",
                channel, APP_KEY, signature, peer->number);
    }
    say(peer, text);
}

/* The content of a valid event besides its number; see write_truth. */
static char channel_start[80], data_end[16384];
static size_t channel_start_size, data_end_size;

static void write_truth(void) {
    static char data[16384];
    write_data(data, 0, window ? "\"" : "\\\"");
    strcpy(data_end, strchr(data, '~') + 9);
    data_end_size = strlen(data_end);
    channel_start_size = sprintf(channel_start, "\"%sbench-", kind);
}

/* Return true if an event has the name of its channel and the data that was sent. */
static int is_true(const char *text, size_t length, const char *mark, long channel) {
    static size_t at; /* the position of the name in the message before */
    if ((size_t)(text + length - mark) < 9 + data_end_size || memcmp(mark + 9, data_end, data_end_size)) return 0;
    if (at + channel_start_size >= length || memcmp(text + at, channel_start, channel_start_size)) {
        const char *found = memmem(text, length, channel_start, channel_start_size);
        if (!found) return 0;
        at = found - text;
    }
    char *stop;
    return strtol(text + at + channel_start_size, &stop, 10) == channel && *stop == '"';
}

/* Send as many client events as the sender may have in flight. */
static void send_client_events(Peer *peer) {
    static char data[16384], text[17000], channel[64];
    while (peer->state == SUBSCRIBED && peer->under_way < window && peer->next < events) {
        if (now() - start > duration / 1e3) return;
        write_channel(channel, peer->number % channels);
        write_data(data, peer->next, "\"");
        snprintf(text, sizeof text, "{\"event\":\"client-bench\",\"channel\":\"%s\",\"data\":%s}", channel, data);
        sent_at[peer->next] = now();
        peer->next += subscribers;
        peer->under_way++;
        started++;
        say(peer, text);
    }
}

/* Read the member numbers in the member list of a presence channel. */
static void read_roster(Peer *peer, const char *text, size_t length) {
    const char *at = memmem(text, length, "ids\\\":[", 7);
    const char *stop = at ? memchr(at, ']', text + length - at) : NULL;
    if (!stop) die("a roster without ids: %.*s", (int)(length < 200 ? length : 200), text);
    while (at < stop) {
        if (*at < '0' || *at > '9') { at++; continue; }
        know(peer->number, strtol(at, (char **)&at, 10));
    }
}

/* Handle one message to a subscriber or the pinger. */
static void take_message(Peer *peer, const char *text, size_t length, double at) {
    if (peer->state == GREETED) {
        if (memmem(text, length, "connection_established", 22)) {
            if (peer->role == PINGER) peer->state = SUBSCRIBED;
            else subscribe(peer, text, length);
        } else if (memmem(text, length, "subscription_succeeded", 22)) {
            peer->state = SUBSCRIBED;
            subscribed++;
            if (known) read_roster(peer, text, length);
        } else if (memmem(text, length, "error", 5)) {
            fprintf(stderr, "loadgen: %.*s\n", (int)(length < 300 ? length : 300), text);
            end(peer);
        }
        return;
    }
    if (peer->role == PINGER) {
        if (memmem(text, length, "pusher:pong", 11) && ping_sent) {
            note(&pings, at - ping_sent);
            ping_sent = 0;
            ping_due = at + 1e-3;
        }
        return;
    }
    if (known) {
        const char *id = memmem(text, length, "user_id", 7);
        if (id && memmem(text, length, "member_added", 12)) know(peer->number, atol(id + strcspn(id, "0123456789")));
        return;
    }
    const char *mark = memchr(text, '~', length);
    if (!mark || !is_true(text, length, mark, peer->number % channels)) {
        stray++;
        return;
    }
    long event = strtol(mark + 1, NULL, 16);
    enter(peer->number, event, at);
    if (window && event < events && heard_by[event] == (uint32_t)(subscribers / channels - 1)) {
        Peer *sender = clients + event % subscribers;
        sender->under_way--;
        send_client_events(sender);
    }
}

/* Handle all whole WebSocket messages; return the number of their bytes. */
static size_t take_frames(Peer *peer, const uint8_t *bytes, size_t count, double at) {
    size_t used = 0;
    if (peer->state == SHAKING) {
        const char *stop = memmem(bytes, count, "\r\n\r\n", 4);
        if (!stop) return 0;
        used = stop + 4 - (const char *)bytes;
        /* the answer to the key of RFC 6455's example */
        if (memcmp(bytes, "HTTP/1.1 101", 12) || !memmem(bytes, used, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) {
            end(peer);
            return count;
        }
        peer->state = GREETED;
    }
    while (count - used >= 2 && peer->state != ENDED) {
        const uint8_t *p = bytes + used;
        size_t length = p[1] & 127, head = length < 126 ? 2 : length == 126 ? 4 : 10;
        if (count - used < head) break;
        if (head > 2) {
            length = 0;
            for (size_t i = 2; i < head; i++) length = length << 8 | p[i];
        }
        if (length > INBOX - READ_SIZE - 10) die("a message of %zu bytes is too long", length);
        if (count - used < head + length) break;
        if ((p[0] & 15) == 1) take_message(peer, (const char *)p + head, length, at);
        else if ((p[0] & 15) == 8) end(peer);
        used += head + length;
    }
    return used;
}

/* Handle a response to a publisher. */
static size_t take_answer(Peer *peer, const char *bytes, size_t count) {
    const char *stop = memmem(bytes, count, "\r\n\r\n", 4);
    if (!stop) return 0;
    size_t whole = stop + 4 - bytes;
    static char head[4096];
    size_t head_size = whole < sizeof head ? whole : sizeof head - 1;
    memcpy(head, bytes, head_size);
    head[head_size] = 0;
    const char *length = strcasestr(head, "\r\ncontent-length:");
    if (length) {
        whole += atol(length + 17);
        if (count < whole) return 0;
    } else { /* chunked */
        stop = memmem(bytes + whole, count - whole, "0\r\n\r\n", 5);
        if (!stop) return 0;
        whole = stop + 5 - bytes;
    }
    if (peer->under_way < 0) stray++; /* a response without a request */
    else if (!memcmp(bytes, "HTTP/1.1 200", 12)) answered++;
    else if (!failed++) fprintf(stderr, "loadgen: %.*s\n", (int)(count < 400 ? count : 400), bytes);
    peer->under_way = -1;
    const char *closing = strcasestr(head, "\r\nconnection:");
    if (closing && !strncasecmp(closing + 13 + strspn(closing + 13, " "), "close", 5)) end(peer);
    return whole;
}

/* Read once and handle the data; return 1 if there was data and the connection is still open. */
static int hear(Peer *peer) {
    if (peer->rest_size) memcpy(inbox, peer->rest, peer->rest_size);
    char *to = inbox + peer->rest_size;
    ssize_t count = peer->tls ? read_tls(peer->tls, to, READ_SIZE) : read(peer->fd, to, READ_SIZE);
    if (count < 0 && errno == EAGAIN) return 0;
    if (count <= 0) {
        end(peer);
        return 0;
    }
    bytes_in += count;
    size_t whole = peer->rest_size + count, used;
    if (peer->role == PUBLISHER) {
        used = take_answer(peer, inbox, whole);
        if (used && used < whole) stray++, used = whole; /* only one request is in flight */
    } else used = take_frames(peer, (uint8_t *)inbox, whole, now());
    if (peer->state == ENDED) return 0;
    peer->rest_size = whole - used;
    if (peer->rest_size) {
        peer->rest = realloc(peer->rest, peer->rest_size);
        if (!peer->rest) die("no memory");
        memcpy(peer->rest, inbox + used, peer->rest_size);
    } else if (peer->rest) {
        free(peer->rest);
        peer->rest = NULL;
    }
    return 1;
}

static void serve(Peer *peer, uint32_t what) {
    if (peer->state == ENDED) return;
    if (peer->state == CONNECTING && what & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
        int fault = 0;
        getsockopt(peer->fd, SOL_SOCKET, SO_ERROR, &fault, &(socklen_t){sizeof fault});
        if (fault) {
            end(peer);
            return;
        }
        struct epoll_event wish = {.events = EPOLLIN, .data.ptr = peer};
        epoll_ctl(peer->role == SUBSCRIBER ? poller : urgent, EPOLL_CTL_MOD, peer->fd, &wish);
        peer->state = SECURING;
        if (tls) peer->tls = new_tls(peer->fd);
    }
    if (peer->state == SECURING) {
        int secured = tls ? secure(peer->tls) : 1;
        if (secured < 0) end(peer);
        if (secured < 1) return;
        peer->state = peer->role == PUBLISHER ? SUBSCRIBED : SHAKING;
        if (peer->role != PUBLISHER) send_all(peer, handshake, strlen(handshake));
        return;
    }
    while (hear(peer) && peer->tls && holds_more(peer->tls)) {}
}

/* Run one event loop iteration. Responses to publishers and pings are read after every few deliveries, so that this
 * process does not delay a publisher or a pong. */
static void look_at_urgent(void) {
    struct epoll_event found[AT_ONCE];
    int count = epoll_wait(urgent, found, AT_ONCE, 0);
    for (int i = 0; i < count; i++) serve(found[i].data.ptr, found[i].events);
}

static void turn(int timeout_ms) {
    struct epoll_event found[BATCH];
    int count = epoll_wait(poller, found, BATCH, timeout_ms);
    for (int i = 0; i < count; i++) {
        if (found[i].data.ptr) serve(found[i].data.ptr, found[i].events);
        if (i % AT_ONCE == AT_ONCE - 1) look_at_urgent();
    }
    look_at_urgent();
    if (ping && pinger.state == SUBSCRIBED && !ping_sent && now() >= ping_due) {
        ping_sent = now();
        say(&pinger, "{\"event\":\"pusher:ping\",\"data\":{}}");
    }
}

static void wait_for(double pause) {
    double until = now() + pause;
    while (now() < until) turn(10);
}

/* ------------------------------------------------------------------------------------------------------ Phases */

static double give_up;

typedef struct { double taken, own; Cpu cpu; uint64_t bytes; long rss_before, rss, rss_after, joined; } Connects;
typedef struct { double at, cpu; uint64_t bytes; } Mark;
static Mark marks[11];

/* Connect and subscribe all clients, then wait until the server is idle. */
static Connects connect_all(void) {
    Connects result = {.rss_before = server_rss()};
    Cpu cpu = read_cpu();
    double begin = now(), own = own_cpu(), quiet_since;
    long limit = parallel ? parallel : subscribers, dialled = 0;
    int tenth = 0;
    uint64_t bytes = bytes_in;
    subscribed = refused = ended = 0;
    marks[0] = (Mark){begin, of_server(cpu), bytes};
    while (subscribed + refused + ended < subscribers && now() < give_up) {
        while (dialled < subscribers && dialled - subscribed - refused - ended < limit) {
            dial(clients + dialled, SUBSCRIBER, dialled);
            dialled++;
        }
        turn(100);
        while (tenth < 10 && subscribed >= subscribers * (tenth + 1) / 10)
            marks[++tenth] = (Mark){now(), server_cpu(), bytes_in};
    }
    result.joined = subscribed;
    result.taken = now() - begin;
    result.own = own_cpu() - own;
    for (uint64_t before = 0; before != bytes_in && now() < give_up; wait_for(.2)) before = bytes_in;
    quiet_since = now();
    result.cpu = since(cpu);
    result.bytes = bytes_in - bytes;
    while (now() - quiet_since < .3) turn(10);
    result.rss = server_rss();
    return result;
}

/* Disconnect all clients, then wait until the server is idle. */
static void leave_all(void) {
    for (long i = 0; i < subscribers; i++) {
        if (clients[i].state != ENDED) close(clients[i].fd);
        free_tls(clients[i].tls);
        free(clients[i].rest);
        clients[i] = (Peer){.state = ENDED};
    }
    double before = -1, cpu = server_cpu();
    do { /* idle: at most 10 ms of CPU in a third of a second */
        wait_for(.35);
        before = cpu;
        cpu = server_cpu();
    } while (cpu - before > .01 && now() < give_up);
    wait_for(2); /* a server may need this long to return memory */
}

static void write_requests(void) {
    static char data[16384], body[20000], to_sign[1024], query[400], request[24000], channel[64];
    char md5[33], signature[65];
    requests = zeroed(events, sizeof *requests);
    request_sizes = zeroed(events, sizeof *request_sizes);
    long at = time(NULL);
    for (long event = 0; event < events; event++) {
        write_data(data, event, "\\\"");
        write_channel(channel, event % channels);
        int length = sprintf(body, "{\"name\":\"bench\",\"channels\":[\"%s\"],\"data\":\"%s\"}", channel, data);
        md5_hex(md5, body, length);
        sprintf(query, "auth_key=%s&auth_timestamp=%ld&auth_version=1.0&body_md5=%s", APP_KEY, at, md5);
        sprintf(to_sign, "POST\n/apps/%s/events\n%s", APP_ID, query);
        sign(signature, to_sign);
        request_sizes[event] = sprintf(request,
                                       "POST /apps/%s/events?%s&auth_signature=%s HTTP/1.1\r\nHost: %s:%ld\r\n"
                                       "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                                       APP_ID, query, signature, host, ports[0], length, body);
        requests[event] = strdup(request);
        if (!requests[event]) die("no memory");
    }
}

/* Send every event that may be sent now. */
static void publish_more(void) {
    for (long i = 0; i < publishers && started < events; i++) {
        Peer *peer = posters + i;
        double at = now();
        if (at - start > duration / 1e3 || (rate && at - start < (double)started / rate)) return;
        if (peer->state == ENDED) dial(peer, PUBLISHER, i); /* a server that closes after each response */
        if (peer->state != SUBSCRIBED || peer->under_way >= 0) continue;
        peer->under_way = started;
        publisher_of[started] = i;
        sent_at[started] = at;
        send_all(peer, requests[started], request_sizes[started]);
        started++;
    }
}

static uint64_t expected(void) {
    uint64_t total = 0;
    if (window) return (uint64_t)started * (subscribers / channels - 1);
    for (long channel = 0; channel < channels; channel++) {
        uint64_t of_channel = started / channels + (channel < started % channels);
        total += of_channel * (subscribers / channels + (channel < subscribers % channels));
    }
    return total;
}

static int all_done(void) {
    int may_start = now() - start <= duration / 1e3 && started < events;
    return !may_start && (window || answered + failed >= started) && distinct >= expected();
}

typedef struct { double taken, own; Cpu cpu, idle; } Run;

/* Publish until every subscriber has every event, no event has come for 3 seconds, or the time limit is reached. */
static Run publish_all(void) {
    if (!window) {
        for (long i = 0; i < publishers; i++) dial(posters + i, PUBLISHER, i);
        wait_for(.05);
    }
    Cpu cpu = read_cpu();
    wait_for(idle / 1e3);
    Run run = {.idle = since(cpu)};
    double own = own_cpu();
    cpu = read_cpu();
    start = last_heard = now();
    for (long i = 0; window && i < subscribers; i++) send_client_events(clients + i);
    while (!all_done() && now() < give_up && now() - last_heard < 3) {
        if (!window) publish_more();
        turn(rate || ping ? 1 : 20);
    }
    run.taken = last_heard - start;
    run.own = own_cpu() - own;
    wait_for(.1); /* an event that comes now is a duplicate */
    run.cpu = since(cpu);
    for (long i = 0; idle && i < processes; i++) run.idle.of[i] *= (now() - start) / (idle / 1e3);
    return run;
}

static double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

static void print_connects(const Connects *c) {
    printf("{\"subscribed\": %ld, \"seconds\": %.3f, \"server_cpu_us\": %.2f, \"generator_share\": %.2f, "
           "\"bytes\": %lu, \"rss_before_kib\": %ld, \"rss_kib\": %ld, \"rss_after_kib\": %ld, "
           "\"kib_a_connection\": %.3f, ",
           c->joined, c->taken, share(of_server(c->cpu) * 1e6, c->joined), share(c->own, c->taken),
           (unsigned long)c->bytes, c->rss_before, c->rss, c->rss_after, share(c->rss - c->rss_before, c->joined));
    print_cpu("cpu_us", c->cpu);
    printf("}");
}

static void print_presence(void) {
    uint64_t all = 0;
    for (long channel = 0; channel < channels; channel++) {
        uint64_t of_channel = subscribers / channels + (channel < subscribers % channels);
        all += of_channel * of_channel;
    }
    printf(", \"presence\": {\"known\": %lu, \"lost\": %lu, \"duplicated\": %lu, \"tenths\": [",
           (unsigned long)members_known, (unsigned long)(all - members_known), (unsigned long)members_twice);
    for (int i = 0; i < 10; i++) {
        double joins = subscribers / 10.0;
        printf("%s{\"seconds\": %.3f, \"server_cpu_us\": %.1f, \"bytes\": %.0f}", i ? ", " : "",
               marks[i + 1].at - marks[i].at, (marks[i + 1].cpu - marks[i].cpu) * 1e6 / joins,
               (marks[i + 1].bytes - marks[i].bytes) / joins);
    }
    printf("]}");
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++) read_option(arguments[i]);
    if (!nodes) die("port=N is missing; the head of loadgen.c lists all options");
    if (window && (publishers || subscribers % channels)) die("client events need channels of equal size, no publishers");
    if (strncmp(host, "127.", 4)) die("only for the loopback address");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < (rlim_t)(subscribers + publishers + 20)) die("only %ld open files allowed", (long)files.rlim_cur);
    for (long i = 0; i < nodes; i++) {
        addresses[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(ports[i])};
        if (inet_pton(AF_INET, host, &addresses[i].sin_addr) != 1) die("%s is not an address", host);
    }
    snprintf(handshake, sizeof handshake,
             "GET /app/%s?protocol=7&client=js&version=8.4.0 HTTP/1.1\r\nHost: %s:%ld\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
             "Origin: http://localhost\r\n\r\n", APP_KEY, host, ports[0]);

    poller = epoll_create1(0);
    urgent = epoll_create1(0);
    struct epoll_event wish = {.events = EPOLLIN, .data.ptr = NULL}; /* ends the wait for urgent sockets too */
    epoll_ctl(poller, EPOLL_CTL_ADD, urgent, &wish);
    inbox = zeroed(INBOX, 1);
    clients = zeroed(subscribers, sizeof *clients);
    posters = zeroed(publishers, sizeof *posters);
    open_ledger();
    write_truth();
    if (!strncmp(kind, "presence-", 9)) known = zeroed(subscribers, (subscribers + 7) / 8);
    if (publishers) write_requests();
    give_up = now() + seconds;

    Connects *connects = zeroed(rounds, sizeof *connects);
    Run run = {0};
    for (long round = 0; round < rounds; round++) {
        connects[round] = connect_all();
        if (round == rounds - 1 && (publishers || window)) {
            if (ping) {
                dial(&pinger, PINGER, 0);
                while (pinger.state < SUBSCRIBED && now() < give_up) turn(10);
            }
            run = publish_all();
        }
        if (rounds > 1) {
            leave_all();
            connects[round].rss_after = server_rss();
        }
    }

    printf("{\"subscribers\": %ld, \"refused\": %ld, \"ended\": %ld, \"connects\": [", subscribers, refused, ended);
    for (long round = 0; round < rounds; round++) {
        if (round) printf(", ");
        print_connects(connects + round);
    }
    uint64_t due = expected();
    printf("], \"run\": {\"events\": %ld, \"answered\": %ld, \"failed\": %ld, \"unanswered\": %ld, \"deliveries\": %lu, \"expected\": %lu, "
           "\"lost\": %lu, \"duplicated\": %lu, \"out_of_order\": %lu, \"stray\": %lu, \"seconds\": %.4f, "
           "\"events_s\": %.1f, \"deliveries_s\": %.1f, \"server_cpu_us\": %.3f, \"generator_cpu_us\": %.3f, "
           "\"generator_share\": %.2f, \"latency_ms\": ",
           started, answered, failed, window ? 0 : started - answered - failed, (unsigned long)deliveries, (unsigned long)due, (unsigned long)(due - distinct),
           (unsigned long)duplicated, (unsigned long)out_of_order, (unsigned long)stray, run.taken,
           share(started, run.taken), share(distinct, run.taken), share(of_server(run.cpu) * 1e6, distinct),
           share(run.own * 1e6, distinct), share(run.own, run.taken));
    print_times(&latency);
    printf(", \"ping_ms\": ");
    print_times(&pings);
    printf(", ");
    print_cpu("cpu_us", run.cpu);
    printf(", ");
    print_cpu("idle_cpu_us", run.idle);
    printf("}");
    if (known) print_presence();
    printf("}\n");
    return 0;
}
