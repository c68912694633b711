#include "slugs.h"

#include <string.h>

/* How the letters from U+00C0 (À) to U+017F (ſ) are written without their accents. × and ÷ are no letters. */
static const char *letters[] = {
    "a", "a", "a", "a", "a",  "a",  "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",  /* À */
    "d", "n", "o", "o", "o",  "o",  "o",  "",  "o", "u", "u", "u", "u", "y", "th", "ss", /* Ð */
    "a", "a", "a", "a", "a",  "a",  "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",  /* à */
    "d", "n", "o", "o", "o",  "o",  "o",  "",  "o", "u", "u", "u", "u", "y", "th", "y",  /* ð */
    "a", "a", "a", "a", "a",  "a",  "c",  "c", "c", "c", "c", "c", "c", "c", "d",  "d",  /* Ā */
    "d", "d", "e", "e", "e",  "e",  "e",  "e", "e", "e", "e", "e", "g", "g", "g",  "g",  /* Đ */
    "g", "g", "g", "g", "h",  "h",  "h",  "h", "i", "i", "i", "i", "i", "i", "i",  "i",  /* Ġ */
    "i", "i", "ij", "ij", "j", "j", "k",  "k", "k", "l", "l", "l", "l", "l", "l",  "l",  /* İ */
    "l", "l", "l", "n", "n",  "n",  "n",  "n", "n", "n", "n", "n", "o", "o", "o",  "o",  /* ŀ */
    "o", "o", "oe", "oe", "r", "r", "r",  "r", "r", "r", "s", "s", "s", "s", "s",  "s",  /* Ő */
    "s", "s", "t", "t", "t",  "t",  "t",  "t", "u", "u", "u", "u", "u", "u", "u",  "u",  /* Š */
    "u", "u", "u", "u", "w",  "w",  "y",  "y", "y", "z", "z", "z", "z", "z", "z",  "s",  /* Ű */
};
static const long first_letter = 0xC0, last_letter = 0x17F;

/* Reads one character and moves `*at` behind it; -1 when what is there is not UTF-8. */
static long next_character(const unsigned char **at)
{
    static const long smallest[] = {0, 0x80, 0x800, 0x10000}; /* what needs as many bytes more */
    unsigned char first = *(*at)++;
    int more = first < 0x80 ? 0 : first < 0xC0 ? -1 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF8 ? 3 : -1;
    if (more < 0)
        return -1;
    long character = more == 0 ? first : first & (0x3F >> more);
    for (int i = 0; i < more; i++) {
        if ((**at & 0xC0) != 0x80) /* the end of the title, too */
            return -1;
        character = character << 6 | (*(*at)++ & 0x3F);
    }
    bool half_a_pair = character >= 0xD800 && character <= 0xDFFF;
    return character < smallest[more] || character > 0x10FFFF || half_a_pair ? -1 : character;
}

/* How a character is written in a slug: up to two letters, or "" for what only stands between words. */
static const char *written(long character)
{
    static char ascii[2];
    if (character >= 'A' && character <= 'Z')
        character += 'a' - 'A';
    if ((character >= 'a' && character <= 'z') || (character >= '0' && character <= '9')) {
        ascii[0] = (char)character;
        return ascii;
    }
    return character >= first_letter && character <= last_letter ? letters[character - first_letter] : "";
}

bool slugify(const char *title, char *slug, size_t room)
{
    const unsigned char *at = (const unsigned char *)title;
    size_t length = 0;
    bool word_ended = false;
    if (room == 0)
        return false;
    while (*at) {
        long character = next_character(&at);
        if (character < 0)
            return false;
        if (character >= 0x300 && character <= 0x36F) /* an accent on the letter before it */
            continue;
        const char *more = written(character);
        bool dash = word_ended && length > 0 && *more;
        word_ended = !*more;
        if (length + dash + strlen(more) >= room)
            return false;
        if (dash)
            slug[length++] = '-';
        for (; *more; more++)
            slug[length++] = *more;
    }
    slug[length] = '\0';
    return true;
}
