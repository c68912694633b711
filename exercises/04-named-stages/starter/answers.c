#include "answers.h"
#include "slugs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TITLE_ROOM = 512, TARGET_ROOM = 2048 };

static void say(struct answer *said, int status, const char *json)
{
    said->status = status;
    snprintf(said->json, sizeof said->json, "%s", json);
}

/* The value of the parameter `title`, up to its `&` or the end; NULL where there is none. */
static const char *title_of(const char *query)
{
    while (query && strncmp(query, "title=", 6) != 0) {
        query = strchr(query, '&');
        if (query)
            query++;
    }
    return query ? query + 6 : NULL;
}

/* Writes a parameter's value out: `%41` is A, `+` is a space. False when it does not fit, or a `%` means nothing. */
static bool decode(const char *value, char *text, size_t room)
{
    size_t length = 0;
    for (; *value && *value != '&'; value++) {
        char character = *value == '+' ? ' ' : *value;
        if (character == '%') {
            if (strspn(value + 1, "0123456789abcdefABCDEF") < 2)
                return false;
            char digits[] = {value[1], value[2], '\0'};
            character = (char)strtol(digits, NULL, 16);
            value += 2;
        }
        if (character == '\0' || length + 1 >= room)
            return false;
        text[length++] = character;
    }
    text[length] = '\0';
    return true;
}

/* Writes a text as JSON has it between its quotes. At most six times as long as the text. */
static void quote(const char *text, char *json)
{
    for (; *text; text++) {
        unsigned char character = (unsigned char)*text;
        if (character < 0x20 || character == '"' || character == '\\')
            json += sprintf(json, "\\u%04x", character);
        else
            *json++ = *text;
    }
    *json = '\0';
}

static void answer_slug(const char *query, struct answer *said)
{
    char title[TITLE_ROOM], slug[TITLE_ROOM], quoted[6 * TITLE_ROOM];
    const char *value = title_of(query);
    if (!value || !*value || *value == '&') {
        say(said, 400, "{\"error\": \"Add a title, like /slug?title=Hello+World\"}");
    } else if (!decode(value, title, sizeof title) || !slugify(title, slug, sizeof slug)) {
        say(said, 400, "{\"error\": \"A title is UTF-8, percent-encoded, and less than 512 bytes long\"}");
    } else {
        quote(title, quoted);
        said->status = 200;
        snprintf(said->json, sizeof said->json, "{\"title\": \"%s\", \"slug\": \"%s\"}", quoted, slug);
    }
}

void answer(const char *request, struct answer *said)
{
    char target[TARGET_ROOM];
    const char *from = strchr(request, ' ');
    size_t length = from ? strcspn(++from, " \r\n") : 0;
    if (length == 0 || strncmp(from + length, " HTTP/1.", 8) != 0)
        return say(said, 400, "{\"error\": \"not HTTP\"}");
    if (strncmp(request, "GET ", 4) != 0)
        return say(said, 405, "{\"error\": \"only GET is answered\"}");
    if (length >= sizeof target)
        return say(said, 414, "{\"error\": \"too long\"}");
    memcpy(target, from, length);
    target[length] = '\0';

    char *query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    if (strcmp(target, "/") == 0 || strcmp(target, "/health") == 0)
        say(said, 200, "{\"status\": \"ok\", \"try\": \"/slug?title=Hello+World\"}");
    else if (strcmp(target, "/slug") == 0)
        answer_slug(query, said);
    else
        say(said, 404, "{\"error\": \"not found\"}");
}
