/*
 * chardev/socket.c - a stream socket, Unix or TCP, as client or as server of one client at a time.
 *
 * Names are resolved once, when the device is opened; later connections never block.
 * Not modelled: the telnet and WebSocket protocols, TLS.
 */
#include "internal.h"
#include "util/error.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

typedef struct Socket {
    struct sockaddr_storage addr;
    socklen_t addr_len;
    char *name;                     /* "unix:/tmp/x", "tcp:127.0.0.1:4444" */
    bool server, nodelay, unlink;
    unsigned reconnect_ms;          /* 0: once */
    int listen_fd, connecting_fd;   /* -1: none */
    LoopWatch *listen_watch, *connect_watch;
    GSource *timer;
} Socket;

static void start_connect(CharBack *c);
static void watch_listen(CharBack *c);

static const struct sockaddr *address(const Socket *s)
{
    return (const struct sockaddr *)&s->addr;
}

static void stop_timer(Socket *s)
{
    if (s->timer) {
        g_source_destroy(s->timer);
        g_source_unref(s->timer);
        s->timer = NULL;
    }
}

static void use_connection(CharBack *c, int fd)
{
    Socket *s = c->priv;
    int on = 1;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (s->nodelay && s->addr.ss_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    c->in_fd = c->out_fd = fd;
    c->in_eof = false;
    char_connected(c, true);
}

/* ---- server ---- */

static void accept_ready(void *opaque, int fd, unsigned events)
{
    CharBack *c = opaque;
    Socket *s = c->priv;
    int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

    if (conn < 0) {
        return;             /* gone again before we came */
    }
    loop_unwatch(s->listen_watch);      /* the next one waits in the backlog */
    s->listen_watch = NULL;
    use_connection(c, conn);
}

static void watch_listen(CharBack *c)
{
    Socket *s = c->priv;

    if (s->listen_fd >= 0 && !s->listen_watch) {
        s->listen_watch = loop_watch(c->loop, s->listen_fd, LOOP_IN, accept_ready, c);
    }
}

/* A socket file that nobody listens on is a left-over; one that answers is somebody's. */
static bool clear_old_socket(Socket *s, GError **errp)
{
    const char *path = ((struct sockaddr_un *)&s->addr)->sun_path;
    struct stat st;
    int fd, err;

    if (lstat(path, &st)) {
        return true;
    }
    if (!S_ISSOCK(st.st_mode)) {
        error_set(errp, "'%s' exists and is not a socket", path);
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    err = connect(fd, address(s), s->addr_len) ? errno : 0;
    close(fd);
    if (err != ECONNREFUSED) {
        error_set(errp, "'%s' is in use by another program", path);
        return false;
    }
    unlink(path);
    return true;
}

static void name_bound_port(Socket *s)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof(bound);
    char host[64], port[16];

    if (s->addr.ss_family != AF_UNIX && !getsockname(s->listen_fd, (struct sockaddr *)&bound, &len) &&
        !getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
                     NI_NUMERICHOST | NI_NUMERICSERV)) {
        g_free(s->name);
        s->name = g_strdup_printf("tcp:%s:%s", host, port);
    }
}

static bool open_server(CharBack *c, bool wait, GError **errp)
{
    Socket *s = c->priv;
    int on = 1;

    if (s->addr.ss_family == AF_UNIX && !clear_old_socket(s, errp)) {
        return false;
    }
    s->listen_fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0) {
        error_set_errno(errp, errno, "%s", s->name);
        return false;
    }
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(s->listen_fd, address(s), s->addr_len) || listen(s->listen_fd, 1)) {
        error_set_errno(errp, errno, "cannot listen on %s", s->name);
        return false;
    }
    s->unlink = s->addr.ss_family == AF_UNIX;
    name_bound_port(s);
    c->connected = false;
    if (wait) {
        int conn;
        fprintf(stderr, "tinamou: chardev %s: waiting for a connection on %s\n", c->id, s->name);
        do {
            conn = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        } while (conn < 0 && (errno == EINTR || errno == ECONNABORTED));
        if (conn < 0) {
            error_set_errno(errp, errno, "%s", s->name);
            return false;
        }
        use_connection(c, conn);
    }
    fcntl(s->listen_fd, F_SETFL, fcntl(s->listen_fd, F_GETFL) | O_NONBLOCK);
    if (!wait) {
        watch_listen(c);
    }
    return true;
}

/* ---- client ---- */

static gboolean retry(gpointer opaque)
{
    CharBack *c = opaque;
    Socket *s = c->priv;

    stop_timer(s);
    start_connect(c);
    return G_SOURCE_REMOVE;
}

static void connect_failed(CharBack *c)
{
    Socket *s = c->priv;

    loop_unwatch(s->connect_watch);
    s->connect_watch = NULL;
    if (s->connecting_fd >= 0) {
        close(s->connecting_fd);
        s->connecting_fd = -1;
    }
    if (!s->timer) {
        s->timer = char_timer(c, s->reconnect_ms, retry);
    }
}

static void connect_ready(void *opaque, int fd, unsigned events)
{
    CharBack *c = opaque;
    Socket *s = c->priv;
    int err = 0;
    socklen_t len = sizeof(err);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) || err) {
        connect_failed(c);
        return;
    }
    loop_unwatch(s->connect_watch);
    s->connect_watch = NULL;
    s->connecting_fd = -1;
    use_connection(c, fd);
}

static void start_connect(CharBack *c)
{
    Socket *s = c->priv;
    int fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    s->connecting_fd = fd;
    if (fd < 0) {
        connect_failed(c);
    } else if (!connect(fd, address(s), s->addr_len)) {
        s->connecting_fd = -1;
        use_connection(c, fd);
    } else if (errno == EINPROGRESS) {
        s->connect_watch = loop_watch(c->loop, fd, LOOP_OUT, connect_ready, c);
    } else {
        connect_failed(c);
    }
}

static bool open_client(CharBack *c, GError **errp)
{
    Socket *s = c->priv;
    int fd;

    c->connected = false;
    if (s->reconnect_ms) {
        start_connect(c);
        return true;
    }
    fd = socket(s->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, address(s), s->addr_len)) {
        error_set_errno(errp, errno, "cannot connect to %s", s->name);
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    use_connection(c, fd);
    return true;
}

/* ---- both ---- */

static void socket_hangup(CharBack *c)
{
    Socket *s = c->priv;

    char_fd_close(c);
    char_connected(c, false);
    if (s->server) {
        watch_listen(c);
    } else if (s->reconnect_ms && !s->timer) {
        s->timer = char_timer(c, s->reconnect_ms, retry);
    }
}

static bool unix_address(Socket *s, const char *path, GError **errp)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&s->addr;

    if (strlen(path) >= sizeof(un->sun_path)) {
        error_set(errp, "'%s': the path of a socket is at most %zu characters long", path,
                  sizeof(un->sun_path) - 1);
        return false;
    }
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, path);
    s->addr_len = sizeof(*un);
    s->name = g_strdup_printf("unix:%s", path);
    return true;
}

static bool tcp_address(Socket *s, const char *host, const char *port, GError **errp)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = s->server ? AI_PASSIVE : 0 };
    struct addrinfo *found;
    int err;

    if (!host || !*host) {
        host = s->server ? "0.0.0.0" : "127.0.0.1";
    }
    err = getaddrinfo(host, port, &hints, &found);
    if (err) {
        error_set(errp, "address %s:%s: %s", host, port, gai_strerror(err));
        return false;
    }
    memcpy(&s->addr, found->ai_addr, found->ai_addrlen);
    s->addr_len = found->ai_addrlen;
    freeaddrinfo(found);
    s->name = g_strdup_printf("tcp:%s:%s", host, port);
    return true;
}

static bool socket_open(CharBack *c, const KeyVals *k, GError **errp)
{
    const char *path = keyvals_str(k, "path"), *port = keyvals_str(k, "port");
    Socket *s = g_new0(Socket, 1);

    c->priv = s;
    s->listen_fd = s->connecting_fd = -1;
    s->server = keyvals_bool(k, "server", false);
    s->nodelay = keyvals_bool(k, "nodelay", false);
    s->reconnect_ms = keyvals_num(k, "reconnect", 0) * 1000;
    if (!path == !port) {
        error_set(errp, "needs either path=FILE (a Unix socket) or port=N and host=NAME (TCP)");
        return false;
    }
    if (s->server && s->reconnect_ms) {
        error_set(errp, "reconnect is for clients: leave it out, or server=on");
        return false;
    }
    if (!s->server && keyvals_str(k, "wait")) {
        error_set(errp, "wait is for servers: add server=on, or leave it out");
        return false;
    }
    if (path ? !unix_address(s, path, errp) : !tcp_address(s, keyvals_str(k, "host"), port, errp)) {
        return false;
    }
    return s->server ? open_server(c, keyvals_bool(k, "wait", true), errp) : open_client(c, errp);
}

static void socket_close(CharBack *c)
{
    Socket *s = c->priv;

    if (!s) {
        return;
    }
    stop_timer(s);
    loop_unwatch(s->listen_watch);
    loop_unwatch(s->connect_watch);
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
    }
    if (s->connecting_fd >= 0) {
        close(s->connecting_fd);
    }
    if (s->unlink) {
        unlink(((struct sockaddr_un *)&s->addr)->sun_path);
    }
    g_free(s->name);
    g_free(s);
}

static char *socket_describe(const CharBack *c)
{
    const Socket *s = c->priv;

    return g_strdup_printf("%s%s", s->name, s->server ? ", server" : "");
}

static const char *const no_telnet[] = { "off", NULL };

static const KeySpec socket_keys[] = {
    { "path", KEY_STR, "a Unix socket" },
    { "host", KEY_STR, "TCP: name or address (default: every address for a server, else 127.0.0.1)" },
    { "port", KEY_STR, "TCP: port; 0 for a server: any free one" },
    { "server", KEY_BOOL, "wait for others to connect, instead of connecting (default off)" },
    { "wait", KEY_BOOL, "server: start the machine only when somebody has connected (default on)" },
    { "reconnect", KEY_UINT, "client: try again after so many seconds (default 0: never)", 0, 3600 },
    { "nodelay", KEY_BOOL, "TCP: send every byte at once (default off)" },
    { "telnet", KEY_ENUM, "off: the telnet protocol is not available", .values = no_telnet },
    { NULL },
};

const CharKind char_socket = {
    .name = "socket",
    .summary = "a Unix or TCP connection",
    .keys = socket_keys,
    .open = socket_open,
    .close = socket_close,
    .hangup = socket_hangup,
    .describe = socket_describe,
};
