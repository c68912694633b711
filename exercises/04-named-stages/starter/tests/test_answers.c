#include "../answers.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *request;
    int status;
    const char *json; /* what has to be in it */
} cases[] = {
    {"GET / HTTP/1.1", 200, "\"status\": \"ok\""},
    {"GET /health HTTP/1.1", 200, "\"status\": \"ok\""},
    {"GET /slug?title=Hello+World HTTP/1.1", 200, "{\"title\": \"Hello World\", \"slug\": \"hello-world\"}"},
    {"GET /slug?a=b&title=%C3%84hm%21&c=d HTTP/1.1", 200, "{\"title\": \"Ähm!\", \"slug\": \"ahm\"}"},
    {"GET /slug?title=%22%5c%0A HTTP/1.1", 200, "{\"title\": \"\\u0022\\u005c\\u000a\", \"slug\": \"\"}"},
    {"GET /slug HTTP/1.1", 400, "Add a title"},
    {"GET /slug?title=&a=b HTTP/1.1", 400, "Add a title"},
    {"GET /slug?title=%FF HTTP/1.1", 400, "UTF-8"},
    {"GET /slug?title=100% HTTP/1.1", 400, "percent-encoded"},
    {"GET /slug?title=a%00b HTTP/1.1", 400, "percent-encoded"},
    {"GET /nowhere HTTP/1.1", 404, "not found"},
    {"POST / HTTP/1.1", 405, "only GET"},
    {"hello", 400, "not HTTP"},
};

int main(void)
{
    size_t count = sizeof cases / sizeof *cases;
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        struct answer said;
        answer(cases[i].request, &said);
        if (said.status == cases[i].status && strstr(said.json, cases[i].json))
            continue;
        printf("test_answers: `%s` was answered %d %s\n", cases[i].request, said.status, said.json);
        wrong++;
    }
    printf("test_answers: %zu of %zu passed\n", count - wrong, count);
    return wrong != 0;
}
