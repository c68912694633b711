/* What the app answers, apart from how it comes and goes. */
#ifndef ANSWERS_H
#define ANSWERS_H

struct answer {
    int status;      /* of HTTP: 200, 404, ... */
    char json[4096]; /* the body */
};

/* Answers a request, of which only the first line is looked at: "GET /slug?title=Hello HTTP/1.1". */
void answer(const char *request, struct answer *said);

#endif
