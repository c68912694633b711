#include "../slugs.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *title, *slug; /* no slug: the title is refused */
} cases[] = {
    {"Hello World", "hello-world"},
    {"Crème brûlée, for two!", "creme-brulee-for-two"},
    {"cre\xCC\x80me", "creme"}, /* an e, then the accent for it */
    {"Straße nach Ærøskøbing", "strasse-nach-aeroskobing"},
    {"  a  --  b  ", "a-b"},
    {"2001: A Space Odyssey", "2001-a-space-odyssey"},
    {"...", ""},
    {"cr\xE8me", NULL},              /* Latin-1, not UTF-8 */
    {"half a letter: \xC3", NULL},   /* ends too early */
    {"\xC0\xAF is a long /", NULL},  /* two bytes for what needs one */
    {"These 32 characters are not many", "these-32-characters-are-not-many"},
    {"And 33 leave no room for the zero", NULL}, /* at the end of a slug */
};

int main(void)
{
    size_t count = sizeof cases / sizeof *cases;
    size_t wrong = 0;
    for (size_t i = 0; i < count; i++) {
        char slug[33];
        bool made = slugify(cases[i].title, slug, sizeof slug);
        if (made == (cases[i].slug != NULL) && (!made || strcmp(slug, cases[i].slug) == 0))
            continue;
        printf("test_slugs: \"%s\" became %s\n", cases[i].title, made ? slug : "nothing");
        wrong++;
    }
    printf("test_slugs: %zu of %zu passed\n", count - wrong, count);
    return wrong != 0;
}
