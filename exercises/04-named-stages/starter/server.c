/* Answers HTTP on port 5000, one request after the other. */
#include "answers.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PORT = 5000, REQUEST_ROOM = 8192, SECONDS_FOR_A_CLIENT = 2 };

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

static long now(void) /* in milliseconds */
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Waits until the client has sent something, or can be sent something; false when its time is up. */
static bool ready(int client, short event, long deadline)
{
    struct pollfd one = {.fd = client, .events = event};
    long left = deadline - now();
    return left > 0 && poll(&one, 1, (int)left) == 1;
}

/* Reads up to the empty line behind the headers. False when the client goes away, is too slow, or says too much. */
static bool receive(int client, char *request, size_t room, long deadline)
{
    size_t length = 0;
    while (length + 1 < room && ready(client, POLLIN, deadline)) {
        ssize_t got = recv(client, request + length, room - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        request[length] = '\0';
        if (strstr(request, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void send_all(int client, const char *text, long deadline)
{
    size_t left = strlen(text);
    while (left > 0 && ready(client, POLLOUT, deadline)) {
        ssize_t sent = send(client, text, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent <= 0)
            return;
        text += sent;
        left -= (size_t)sent;
    }
}

static const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed\r\nAllow: GET";
    case 414: return "URI Too Long";
    default: return "Bad Request";
    }
}

static void serve(int client)
{
    char request[REQUEST_ROOM], head[256];
    struct answer said;
    long deadline = now() + SECONDS_FOR_A_CLIENT * 1000;
    if (!receive(client, request, sizeof request, deadline))
        return;
    answer(request, &said);
    snprintf(head, sizeof head,
             "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             said.status, reason(said.status), strlen(said.json));
    send_all(client, head, deadline);
    send_all(client, said.json, deadline);
}

int main(void)
{
    /* In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s. */
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);

    int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    /* INADDR_ANY: on 127.0.0.1 nobody outside of the container could reach it. */
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr = {htonl(INADDR_ANY)}};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 64) != 0) {
        perror("port 5000");
        return 1;
    }
    fprintf(stderr, "listening on port %d\n", PORT);
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            serve(client);
            close(client);
        }
    }
}
