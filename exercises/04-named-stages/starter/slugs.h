/* Makes the part of a web address that names a page out of the page's title. */
#ifndef SLUGS_H
#define SLUGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * "Crème brûlée, for two!" becomes "creme-brulee-for-two".
 *
 * False when the title is not UTF-8, or when the slug does not fit into `room` bytes. A slug is never longer than its
 * title.
 */
bool slugify(const char *title, char *slug, size_t room);

#endif
