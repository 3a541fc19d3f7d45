/* An authorization plugin of Docker's protocol, as one file without libraries: serves HTTP on the socket that it is given and denies
 * requests whose address holds the word that it is given. MODE makes it misbehave. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *word;

static void leave(int signal) {
    (void)signal;
    static const char text[] = "plugin: asked to go\n";
    write(1, text, sizeof text - 1);
    _exit(0);
}

/* Reads one request; the body stays behind the head in `text`. Returns 0 at the end. */
static int receive(int peer, char *text, size_t size) {
    size_t have = 0;
    for (;;) {
        ssize_t n = read(peer, text + have, size - 1 - have);
        if (n <= 0)
            return 0;
        text[have += (size_t)n] = 0;
        char *body = strstr(text, "\r\n\r\n");
        if (!body)
            continue;
        char *length = strcasestr(text, "content-length:");
        size_t wanted = length && length < body ? strtoul(length + 15, 0, 10) : 0;
        if (have >= (size_t)(body + 4 - text) + wanted)
            return 1;
    }
}

static void serve(int peer) {
    static char text[1 << 20];
    while (receive(peer, text, sizeof text)) {
        char *body = strstr(text, "\r\n\r\n") + 4, answer[512], head[256];
        char *uri = strstr(body, "\"RequestUri\":\""), *end = uri ? strchr(uri + 14, '"') : 0;
        if (end)
            *end = 0;
        if (!strncmp(text, "POST /Plugin.Activate", 21))
            strcpy(answer, "{\"Implements\": [\"authz\"]}");
        else if (word[0] && uri && strstr(uri + 14, word))
            snprintf(answer, sizeof answer, "{\"Allow\": false, \"Msg\": \"no %s here\"}", word);
        else
            strcpy(answer, "{\"Allow\": true}");
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", strlen(answer));
        write(peer, head, (size_t)n);
        write(peer, answer, strlen(answer));
    }
    _exit(0);
}

int main(int argc, char **argv) {
    const char *mode = getenv("MODE") ? getenv("MODE") : "";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    word = argc > 2 ? argv[2] : "";
    snprintf(at.sun_path, sizeof at.sun_path, "%s", argc > 1 ? argv[1] : "/run/docker/plugins/p.sock");
    if (!strcmp(mode, "exit")) {
        fprintf(stderr, "plugin: there is no licence\n");
        return 3;
    }
    signal(SIGTERM, !strcmp(mode, "stubborn") ? SIG_IGN : leave);
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (!strcmp(mode, "deaf"))
        for (;;)
            pause();
    unlink(at.sun_path);
    int door = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(door, (struct sockaddr *)&at, sizeof at) || listen(door, 64)) {
        perror(at.sun_path);
        return 1;
    }
    printf("plugin: denies \"%s\"\n", word);
    fflush(stdout);
    for (;;) {
        int peer = accept(door, 0, 0);
        if (peer < 0)
            continue;
        if (fork() == 0) {
            close(door);
            serve(peer);
        }
        close(peer);
    }
}
